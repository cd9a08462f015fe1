"""NULs in a growing file are a hole that may be filled: what stands there is not given up at once."""

from __future__ import annotations

from pathlib import Path

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
