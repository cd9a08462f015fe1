"""NULs in a growing file are a hole that may be filled: what stands there is not given up at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.formats.base import Limits
from telemetry.streamer.batching import CutBatch, Cutter, Reader
from telemetry.streamer.holes import Holes
from telemetry.streamer.source import SourceFile
from tests.streamer.edge import Edge, append, commit_all, rows, values
from tests.waiting import eventually


def with_hole(file: Path) -> tuple[int, bytes]:
    """A file that has the rows 0 to 34, a hole where 35 to 39 will be, and 40 to 44. Where the hole is, and what fills it."""
    at, late = file.stat().st_size, rows(35, 40).encode()
    with file.open("ab") as writing:
        writing.write(b"\0" * (len(late) - 1) + b"\n" + rows(40, 45).encode())
    return at, late


def test_what_fills_a_hole_later_is_read(edge: Edge, file: Path) -> None:
    at, late = with_hole(file)
    with edge.streamer() as streamer:
        for _ in range(5):
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
        assert max(values(edge.published)) < 40
        with file.open("r+b") as writing:
            writing.seek(at)
            writing.write(late)
        append(file, rows(45, 50))
        commit_all(edge, streamer, file)
    assert values(edge.published) == list(range(50))
    assert [row for batch in edge.published for row in batch.readings.quarantined] == []


def test_an_old_hole_does_not_let_a_young_one_through(edge: Edge, file: Path) -> None:
    with_hole(file)
    holes = Holes(10)
    with SourceFile.open(file, max_record=1 << 16, final=False) or pytest.fail("it has rows") as source:

        def cut() -> list[CutBatch]:
            return list(
                Cutter(source, Reader(1 << 16, Limits(0, 1 << 60))).batches(
                    source.head.first, limit=10, room_bytes=1 << 30, now_us=0
                )
            )

        def before(now_s: float) -> list[CutBatch]:
            return holes.before(cut(), now_s, 0, final=False)

        assert [batch.extent.line for batch in before(0)] == [2, 12, 22, 32][: len(before(0))]
        with_hole(file)
        held = len(before(9))
        assert 0 < len(before(11)) < len(cut())
        assert len(before(11)) >= held
        assert len(before(20)) == len(cut())


def test_a_hole_that_stays_is_one_row_in_the_end(edge: Edge, file: Path) -> None:
    with_hole(file)
    number = 45
    with edge.streamer(close_after_s=0.5) as streamer:

        def read_on() -> bool:
            # Its writer goes on all the time.
            nonlocal number
            append(file, rows(number, number + 1))
            number += 1
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            return max(values(edge.published)) >= 40

        eventually(read_on)
        commit_all(edge, streamer, file)
    assert values(edge.published) == [*range(35), *range(40, number)]
    assert [row.reason for batch in edge.published for row in batch.readings.quarantined] == ["bad_columns"]
