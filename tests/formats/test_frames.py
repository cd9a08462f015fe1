"""Lines with a known frame are read without a closer look; the agreement test compares what is read."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from telemetry.formats import records
from telemetry.formats.frames import Frames
from tests.strategies import HEADER, mangled_files

COLUMNS = HEADER.count(b",") + 1
LOW, HIGH = 0, 10


class Learner:
    """Numbers records in the order in which they are learnt."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []

    def __call__(self, columns: list[pa.Array]) -> list[int]:
        first = len(self.rows)
        self.rows += zip(*(column.to_pylist() for column in columns), strict=True)
        return list(range(first, len(self.rows)))


@given(st.lists(mangled_files(), min_size=1, max_size=3))
def test_what_is_found_is_what_a_closer_look_finds(blocks: list[bytes]) -> None:
    frames, learner = Frames(COLUMNS, LOW, HIGH), Learner()
    for block in blocks:
        body = block.removeprefix(HEADER)
        found = frames.find(body, 1000, learner)
        end = int(found.bounds[-1])
        read = records.split(body[:end], columns=COLUMNS, limit=10**6, max_record=1000, final=False)
        assert [*read.starts, end] == [*found.bounds]
        assert not read.malformed
        for n, row in enumerate(zip(*(column.to_pylist() for column in read.columns), strict=True)):
            learnt = list(learner.rows[found.frames[n]])
            learnt[LOW], learnt[HIGH] = found.low.texts[found.low.codes[n]], found.high.texts[found.high.codes[n]]
            assert tuple(learnt) == row


def lines(*cells: bytes, frame: bytes = b"%s,m,%s,tail\n") -> bytes:
    return b"".join(frame % (b"t%d" % n, cell) for n, cell in enumerate(cells))


def test_a_frame_is_learnt_once() -> None:
    frames, learner = Frames(4, 0, 2), Learner()
    frames.find(lines(b"1", b"2"), 100, learner)
    found = frames.find(lines(b"3", b'"4"', b""), 100, learner)
    assert len(learner.rows) == 1
    assert [found.high.texts[code] for code in found.high.codes] == ["3", "4", ""]


def test_reading_stops_where_a_line_must_be_read_closely() -> None:
    for odd in (b'"a""b"', b'"a,b"', b'a"b', "é".encode(), b"1,2", b"\0"):
        found = Frames(4, 0, 2).find(lines(b"1", b"2", odd, b"3"), 100, Learner())
        assert len(found.frames) == 2, odd


def test_a_line_that_is_too_long_or_not_whole_is_left() -> None:
    assert len(Frames(4, 0, 2).find(lines(b"1", b"2" * 90), 50, Learner()).frames) == 1
    assert len(Frames(4, 0, 2).find(lines(b"1", b"2")[:-1], 50, Learner()).frames) == 1


def test_a_quoted_comma_before_the_cells_is_no_frame() -> None:
    block = lines(b"1", b"2", frame=b'"a,%s,c",x,%s,tail\n')
    assert len(Frames(4, 1, 2).find(block, 100, Learner()).frames) == 0


def test_the_last_column_may_be_one_of_the_two() -> None:
    for end in (b"\n", b"\r\n"):
        found = Frames(3, 0, 2).find(lines(b"1", b"2", frame=b"%s,m,%s" + end), 100, Learner())
        assert [found.high.texts[code] for code in found.high.codes] == ["1", "2"]
