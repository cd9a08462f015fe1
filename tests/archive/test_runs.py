"""What a day holds: what is lost is counted by bits, and a file keeps all of them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from telemetry.archive import files, runs
from telemetry.archive.places import ArchiveError
from telemetry.archive.runs import DisorderError, Run
from telemetry.store.read.archivable import Series
from telemetry.store.sealed_rows import Samples
from tests.archive.days import ODD

# They cannot come from a file of an edge, but from whoever writes to the database.
NANS = tuple(struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0x7FF8000000000000, 0xFFF8000000000123))


def test_bits_of_nan_survive_a_file(tmp_path: Path) -> None:
    one = Series(1, 11, "m", "g", "00", None, "g", None, None, None, None, None, None, "{}", None, 1, "")
    values = np.array([*ODD, *NANS])
    ts_us = np.arange(len(values), dtype=np.int64)
    path = tmp_path / "a.parquet"
    with path.open("wb") as stream, files.writer(stream) as file:
        file.add([one], [Samples(np.ones(len(values), np.int64), ts_us, values)], {})
    (found,) = files.runs(path)
    assert found.values.tobytes() == values.tobytes()


def test_lost_samples_are_counted_by_bits() -> None:
    before = [run("a", (1, 0.0), (2, 1.0)), run("b", (1, 1.0)), run("c", (5, 1.0))]
    assert runs.lost(before, before) == 0
    assert runs.lost(before, []) == 4
    assert runs.lost([], before) == 0
    # Cut another way, with more.
    assert runs.lost(before, [run("a", (1, 0.0)), run("a", (2, 1.0), (3, 1.0)), *before[1:], run("d", (1, 1.0))]) == 0
    assert runs.lost(before, [run("a", (1, -0.0), (2, 1.0)), run("c", (5, 1.0))]) == 2


def test_the_digest_is_of_order_times_and_bits() -> None:
    def digest(*parts: Run) -> str:
        return runs.content(parts).digest

    one, two = run("a", (1, 0.0), (2, 1.0)), run("b", (1, 1.0))
    assert digest(one, two) == digest(run("a", (1, 0.0)), run("a"), run("a", (2, 1.0)), two)
    others = [run("a", (1, -0.0), (2, 1.0)), run("a", (1, 0.0), (3, 1.0)), run("c", (1, 0.0), (2, 1.0)), run("a", (1, 0.0))]
    assert len({digest(one, two), digest(one), *map(digest, others)}) == 2 + len(others)
    for parts in ((two, one), (one, one), (run("a", (2, 1.0), (1, 0.0)),), (run("a", (1, 0.0), (1, 0.0)),)):
        with pytest.raises(DisorderError):
            digest(*parts)


def test_what_is_no_file_of_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and nothing else PAR1")
    with path.open("rb") as stream, pytest.raises(ArchiveError, match="no file of an archive"):
        list(files.runs(stream))


def run(name: str, *samples: tuple[int, float]) -> Run:
    return Run((name, "g", "s"), np.array([at for at, _ in samples], np.int64), np.array([value for _, value in samples]))
