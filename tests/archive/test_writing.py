"""Sealed days are archived bit for bit, once, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from sqlalchemy import Engine, text

from telemetry.archive import files, manifests, writing
from telemetry.archive.places import ArchiveError, Place
from telemetry.archive.returning import Archive
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store import locks
from telemetry.store.upkeep import sealing
from tests.archive.days import FIRST, SQL, archive, drop_month, seal, some, states, tree
from tests.batches import batch, key, readings
from tests.fixtures.services import Query


def test_the_archive_has_what_the_view_has(engine: Engine, writer: BatchWriter, place: Place, query: Query) -> None:
    writer.write([batch(readings(*some()))])
    seal(engine)
    assert archive(engine, place) == [(FIRST, 24, "written"), (FIRST + timedelta(days=1), 24, "written")]
    table = pl.scan_parquet(f"{place.root}/readings").sort("metric", "gpu", "labels", "time").collect()
    assert table["day"].unique().sort().to_list() == [FIRST, FIRST + timedelta(days=1)]
    assert {"time": pl.Datetime("us", "UTC"), "value": pl.Float64, "metric": pl.String}.items() <= dict(table.schema).items()
    found = [
        (
            int(row["time"].timestamp()) * 1_000_000,
            *(row[name] for name in ("metric", "unit", "gpu", "host", "index", "model")),
            json.loads(row["labels"]),
            row["owner"] and json.loads(row["owner"]),
            struct.pack(">d", row["value"]),
        )
        for row in table.iter_rows(named=True)
    ]
    there = [(*row[:7], json.loads(row[7]), row[8] and json.loads(row[8]), bytes(row[9])) for row in query(SQL)]
    assert sorted(found, key=str) == sorted(there, key=str)
    assert {"pod": "p", "namespace": "n"} in [row[8] for row in found]


def test_what_is_archived_is_not_written_again_and_comes_to_the_same_bytes(
    engine: Engine, writer: BatchWriter, place: Place, query: Query, tmp_path: Path
) -> None:
    writer.write([batch(readings(*some()))])
    seal(engine)
    archive(engine, place)
    before = tree(place)
    assert archive(engine, place) == []
    second = Place.of(f"file://{tmp_path}/second")
    assert [became for _, _, became in archive(engine, second)] == ["written"] * 2
    assert tree(second) == before == tree(place)
    # A restored database may have forgotten it.
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM archived_days"))
    assert [became for _, _, became in archive(engine, place)] == ["same"] * 2
    assert tree(place) == before
    assert states(engine, place) == ["equal"] * 2
    manifest = manifests.there(place, FIRST)
    metadata = pq.read_metadata(f"{place.root}/{manifest.file}").metadata
    assert metadata[b"telemetry.digest"].decode() == manifest.content.digest
    assert query("SELECT count(*)::int FROM archived_days") == [(2,)]


def test_a_day_with_late_samples_is_written_anew_and_no_other(engine: Engine, writer: BatchWriter, place: Place) -> None:
    writer.write([batch(readings(*some()))])
    seal(engine)
    archive(engine, place)
    writer.write([batch(readings((key("m1", "GPU-1"), 5, 7.5), (key("m9", "GPU-9"), 5, 7.5)), "late")])
    # As it is, and merged.
    assert states(engine, place) == ["behind", "equal"]
    assert archive(engine, place) == [(FIRST, 26, "anew")]
    seal(engine)
    assert archive(engine, place) == []
    assert states(engine, place) == ["equal"] * 2


def test_rows_are_not_archived_and_a_day_that_is_being_sealed_is_not(
    engine: Engine, writer: BatchWriter, place: Place, query: Query
) -> None:
    writer.write([batch(readings(*some()))])
    assert archive(engine, place) == []
    with engine.begin() as connection:
        assert sealing.freeze(connection, query("SELECT inhrelid::regclass::text FROM pg_inherits LIMIT 1")[0][0], 1)
    writer.write([batch(readings((key("m1", "GPU-1"), 5, 7.5)), "late")])
    assert archive(engine, place) == []


def test_nothing_is_lost_that_the_archive_has_alone(
    engine: Engine, writer: BatchWriter, place: Place, settings: Settings
) -> None:
    rows = some(days=1)
    writer.write([batch(readings(*rows))])
    seal(engine)
    archive(engine, place)
    before = tree(place)
    drop_month(engine)
    assert states(engine, place) == ["alone"]
    writer.write([batch(readings(*rows[:5], (key("m1", "GPU-1"), 7, 1.0)), "again")])
    seal(engine)
    with pytest.raises(ArchiveError, match="has 19 samples that the database has not"):
        archive(engine, place)
    assert tree(place) == before
    assert states(engine, place) == ["differs"]
    assert Archive(settings, engine, place).give_back(FIRST).classes[:3] == (19, 5, 0)
    seal(engine)
    assert archive(engine, place) == [(FIRST, 25, "anew")]
    with engine.begin() as connection:
        connection.execute(text("UPDATE sealed SET low = NULL, floats = array_fill(3.5::float8, ARRAY[n]) WHERE n > 4"))
        connection.execute(text("DELETE FROM archived_days"))
    with pytest.raises(ArchiveError, match="or with other values"):
        archive(engine, place)
    assert archive(engine, place, replace=True) == [(FIRST, 25, "anew")]


@pytest.mark.parametrize("harm", ["flip", "cut", "gone", "manifest"])
def test_damage_is_found_and_mended(engine: Engine, writer: BatchWriter, place: Place, query: Query, harm: str) -> None:
    writer.write([batch(readings(*some(days=1)))])
    seal(engine)
    archive(engine, place)
    file, manifest = (Path(place.root) / path for path in (manifests.file_of(FIRST), f"manifests/{FIRST}.json"))
    data = bytearray(file.read_bytes())
    if harm == "flip":
        data[len(data) // 3] ^= 1
        file.write_bytes(data)
    elif harm == "cut":
        file.write_bytes(data[:-9])
    elif harm == "gone":
        file.unlink()
    else:
        manifest.write_text("{}")
    assert states(engine, place) == ["damaged"]
    # Retention does not rely on it.
    assert query("SELECT count(*)::int FROM archived_days") == [(0,)]
    assert [became for _, _, became in archive(engine, place, replace=True)] == ["written" if harm == "gone" else "anew"]
    assert states(engine, place) == ["equal"]


KILLED = """
import os, sys
from datetime import date
from pathlib import Path
from telemetry.archive import manifests, writing
from telemetry.archive.places import Place
from telemetry.settings import Settings
from telemetry.store.engine import make_engine

root, step = sys.argv[1], int(sys.argv[2])
calls = 0
def dying(function):
    def called(*args, **options):
        global calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), 9)
        return function(*args, **options)
    return called
for owner, name in ((writing.files.Writer, "tell"), (Place, "open"), (Place, "publish"), (manifests, "write"),
                    (writing.archived, "record")):
    setattr(owner, name, dying(getattr(owner, name)))
engine, place = make_engine(Settings.load(), application="test"), Place.of(root)
for day in writing.pending(engine, place, date.max):
    writing.write(engine, place, day.day)
"""


def test_killed_anywhere_it_leaves_whole_files_and_goes_on(
    engine: Engine, writer: BatchWriter, place: Place, environ: dict[str, str], tmp_path: Path
) -> None:
    writer.write([batch(readings(*some(days=1)))])
    seal(engine)
    whole = Place.of(str(tmp_path / "whole"))
    archive(engine, whole)
    for step in range(1, 40):
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, place.root, str(step)], env=os.environ | environ, check=False, timeout=60
        )
        names = [str(path) for path in Path(place.root).rglob("*.parquet")]
        # What a reader finds is all of it.
        assert sum(pq.read_metadata(name).num_rows for name in names) in {0, 24}
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    else:
        pytest.fail("it was killed each time")
    assert step > 5
    assert archive(engine, place) == []
    assert tree(place) == tree(whole)


def test_an_object_store_never_has_half_a_file(
    engine: Engine, writer: BatchWriter, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file system than that of a directory, which ends an upload however its work ended."""
    root = Path(place.root)
    for name in ("writing", "readings", "manifests"):
        (root / name).mkdir(parents=True)
    (root / f"readings/day={FIRST}").mkdir()
    store = Place(fs.SubTreeFileSystem(str(root.parent), fs.LocalFileSystem()), root.name, "s3://bucket/archive")
    assert not store.is_local
    writer.write([batch(readings(*some(days=1)))])
    seal(engine)
    with monkeypatch.context() as patched:
        patched.setattr(files.Writer, "tell", lambda *_: (_ for _ in ()).throw(OSError("the network is down")))
        with pytest.raises(ArchiveError, match="s3://bucket/archive: the network is down"):
            archive(engine, store)
    assert tree(place) == {}
    assert archive(engine, store) == [(FIRST, 24, "written")]
    assert states(engine, store) == ["equal"]


def test_two_do_not_archive_at_once(engine: Engine, writer: BatchWriter, place: Place) -> None:
    writer.write([batch(readings(*some(days=1)))])
    seal(engine)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": locks.ARCHIVE})
        with pytest.raises(writing.BusyError):
            writing.write(engine, place, FIRST)
    assert archive(engine, place) == [(FIRST, 24, "written")]
