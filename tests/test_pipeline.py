"""The main job with every part real: files, streamer, broker, collector, Postgres, and `verify` as the judge."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import redis
from hypothesis import Phase, given
from hypothesis import settings as hypothesis
from sqlalchemy import Engine, text

from telemetry.celery import make_app
from telemetry.progress import keys
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from telemetry.streamer.tick import Streamer
from tests.fixtures.processes import exact
from tests.strategies import HEADER, mangled_files
from tests.waiting import eventually

Verify = Callable[..., dict[str, int]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def sample(tmp_path: Path, telemetry: Run) -> Path:
    path = tmp_path / "sample.csv"
    made = telemetry("simulate", "--hosts", "2", "--gpus", "4", "--interval", "5", "--duration", "60", "-o", path)
    assert made.returncode == 0, made.stderr
    return path


def test_the_real_export_is_stored_once_whatever_is_done_twice(
    start_collector: Callable[[], object], telemetry: Run, verify: Verify, real_csv: Path, engine: Engine
) -> None:
    start_collector()
    for _ in range(2):
        done = telemetry("ingest", "--json", "--timeout", "60", real_csv)
        assert (done.returncode, json.loads(done.stdout)["rows"]) == (0, 2470), done.stderr
        counts = verify(real_csv)
        assert counts == {**dict.fromkeys(counts, 0), "read": 2470, "stored": 2470}
    with engine.connect() as connection:
        gpus, hosts = connection.execute(text("SELECT count(*), count(DISTINCT host) FROM gpus")).one()
        assert (gpus, hosts, connection.scalar(text("SELECT count(*) FROM series"))) == (247, 31, 2470)


def test_a_beat_and_a_streamer_follow_a_growing_file(
    start_collector: Callable[[], object],
    start_edge: Callable[..., object],
    sample: Path,
    tmp_path: Path,
    verify: Verify,
    telemetry: Run,
    redis_client: redis.Redis,
    settings: Settings,
) -> None:
    data = sample.read_bytes()
    grown = tmp_path / "live" / "grown.csv"
    grown.parent.mkdir()
    start_collector()
    start_edge(grown.parent / "*.csv", TELEMETRY_STREAM_INTERVAL_S="0.1")
    at = 0
    while at < len(data):
        piece = random.Random(at).randint(1, len(data) // 6)  # noqa: S311 - where a write tears a line
        with grown.open("ab") as file:
            file.write(data[at : at + piece])
        at += piece
        counts = verify(grown)
        assert not counts["extra"]
    eventually(lambda: verify(grown)["missing"] == 0, 30)
    counts = verify(grown)
    assert exact(counts)
    assert counts["stored"] == counts["read"] > 1000
    assert telemetry("status").returncode == 0
    known = [key.name.replace("{p}", settings.key_prefix) for key in keys.DECLARED]
    patterns = [re.sub(r"\\\{.*?\\\}", ".+", re.escape(each)) for each in known]
    unknown = {key.decode() for key in redis_client.scan_iter(count=1000)} - {"tests"}
    assert not {key for key in unknown if not any(re.fullmatch(pattern, key) for pattern in patterns)}


def test_a_last_line_torn_at_every_byte_is_read_once_it_is_whole(
    start_collector: Callable[[], object],
    settings: Settings,
    redis_client: redis.Redis,
    sample: Path,
    tmp_path: Path,
    verify: Verify,
) -> None:
    start_collector()
    lines = sample.read_bytes().splitlines(keepends=True)[:4]
    torn = tmp_path / "torn.csv"
    with torn.open("wb", buffering=0) as file:
        mine = replace(settings, sources=(str(torn),))
        streamer = Streamer(mine, redis_client, publisher(make_app(settings), settings))
        for byte in b"".join(lines):
            file.write(bytes([byte]))
            streamer.tick(0)

        def is_committed() -> bool:
            streamer.tick(0)
            return all(stream.idle() for stream in streamer.streams.values())

        eventually(is_committed)
        streamer.close()
    counts = verify(torn)
    assert (counts["read"], counts["stored"], exact(counts)) == (3, 3, True)


def test_every_row_of_two_hundred_mangled_files_ends_in_one_class(
    start_collector: Callable[[], subprocess.Popen[bytes]],
    start_edge: Callable[..., tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]],
    telemetry: Run,
    verify: Verify,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "mangled"
    folder.mkdir()
    made: set[bytes] = set()

    # Some are drawn twice.
    @hypothesis(max_examples=300, database=None, phases=[Phase.generate], deadline=None)
    @given(mangled_files())
    def draw(data: bytes) -> None:
        made.add(data)

    draw()
    for number, data in enumerate(sorted(made)):
        folder.joinpath(f"{number:03}.csv").write_bytes(data)
    folder.joinpath("photo.csv").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" + random.Random(0).randbytes(5000))  # noqa: S311
    folder.joinpath("empty.csv").write_bytes(b"")
    folder.joinpath("header.csv").write_bytes(HEADER)
    paths = sorted(folder.iterdir())
    assert len(paths) >= 200
    collector = start_collector()
    followed, rest = paths[::4], [path for n, path in enumerate(paths) if n % 4]
    # A growing file's last line waits for its end, unless the file is known to be whole.
    edge = start_edge(",".join(map(str, followed)), TELEMETRY_STREAM_INTERVAL_S="0.2", TELEMETRY_SOURCES_FINAL="true")
    pool = psutil.Process(collector.pid).children(recursive=True)
    assert pool
    done = telemetry("ingest", "--json", "--final", "--timeout", "90", *rest)
    told = json.loads(done.stdout)
    # Some of them are foreign, and some readings differ.
    assert (done.returncode, told["committed"], told["dead_rows"]) == (1, True, 0), done.stderr
    classes = ("new", "known", "conflict", "blank", "quarantined")
    assert sum(told[name] for name in classes) == told["rows"]
    eventually(lambda: verify(*followed)["missing"] == 0, 60, every_s=0.5)
    counts = verify(*paths)
    assert counts["read"] > told["rows"] > 200
    assert exact(counts), counts
    assert min(counts[name] for name in ("stored", "duplicate", "conflict", "blank", "quarantined", "unread")) > 0
    assert psutil.Process(collector.pid).children(recursive=True) == pool
    assert [process.poll() for process in (collector, *edge)] == [None] * 3
