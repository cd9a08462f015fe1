"""Cuts a batch out of a source: from an offset, so many complete rows as asked for, with their meaning.

What is cut is a function of the bytes: cutting [start, end) again later gives the same batch with the same id, which is
what makes publishing again harmless.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from telemetry.formats import records
from telemetry.formats.dcgm import Limits, Pass
from telemetry.readings import digests
from telemetry.readings.rows import MAX_KEPT_BYTES, QuarantinedRow, Readings, kept
from telemetry.streamer.source import SourceFile

MIN_BLOCK_BYTES = 1 << 16
MAX_BLOCK_BYTES = 8 << 20
TYPICAL_ROW_BYTES = 600
# Rows that are read closely where one of them asks for it.
CLOSE_ROWS = 64
ANY_TIME_US = 1 << 60
# A block is so much larger than its batches are expected to be.
SPARE = 1.03


@dataclass(frozen=True, slots=True)
class Reader:
    """How a source is read: limits of record and timestamp, and the replay pass (anchor, first timestamp) if it is one."""

    max_record: int
    limits: Limits
    anchor_us: int | None = None
    first_us: int = 0

    @property
    def shift_us(self) -> int:
        """What a replay adds to each timestamp."""
        return 0 if self.anchor_us is None else self.anchor_us - self.first_us

    def interpretation(self) -> str:
        """How bytes are read: part of a batch's id."""
        return self.limits.interpretation() + f";record={self.max_record}"

    def reading(self, now_us: int) -> Pass:
        """How times are read at a time."""
        return Pass(self.limits, now_us, self.shift_us)


@dataclass(frozen=True, slots=True)
class Cut:
    """A batch cut out: its bytes [start, end), the lines it begins and the next begins at, its id and its readings."""

    batch_id: str
    start: int
    end: int
    line: int
    end_line: int
    readings: Readings


def cut(
    source: SourceFile, reader: Reader, start: int, line: int, *, limit: int, now_us: int, stop: int | None = None
) -> Cut | None:
    """The next batch of at most `limit` rows, None if no row is complete yet. With `stop`: exactly the rows up to there."""
    found = source.head.format
    if found is None:
        return None if start else _foreign(source, reader)
    wanted = max(MIN_BLOCK_BYTES, min(limit * TYPICAL_ROW_BYTES, MAX_BLOCK_BYTES))
    while True:
        # No batch is larger than that, but for a single line that is too long.
        block = source.read(start, wanted if stop is None else min(stop - start, MAX_BLOCK_BYTES + reader.max_record))
        at_end = len(block) < wanted if stop is None else start + len(block) == stop
        rows = records.split(
            block,
            columns=len(found.columns),
            limit=limit,
            max_record=reader.max_record,
            final=at_end and (source.final or stop is not None),
        )
        if rows.rows == 1 and rows.malformed and rows.malformed[0].reason == "too_long":
            # The same batch, wherever the block ends.
            return _overlong(source, reader, start, start + rows.malformed[0].start, line, line + rows.malformed[0].line)
        if rows.rows:
            break
        if rows.overlong:
            return _overlong(source, reader, start, start + rows.end, line, line + rows.end_line)
        if at_end or stop is not None:
            return None
        wanted = min(wanted * 4, wanted + MAX_BLOCK_BYTES)
    taken = block[: rows.end]
    readings = found.read(rows, taken, reader.reading(now_us)).readings(start, line)
    return _named(source, reader, taken, start, start + rows.end, line, line + rows.end_line, readings)


def cuts(
    source: SourceFile,
    reader: Reader,
    start: int,
    line: int,
    *,
    limit: int,
    room_bytes: int,
    now_us: int,
    row_bytes: float = TYPICAL_ROW_BYTES,
) -> Iterator[Cut]:
    """The next batches one after the other until they have filled so many bytes, or no row is complete.

    `row_bytes` is how long rows are, about: blocks are read that hold whole batches, as many as the room asks for.
    """
    close_rows = CLOSE_ROWS
    while room_bytes > 0:
        batch_bytes = limit * row_bytes * SPARE
        batches = max(1, math.ceil(min(room_bytes, MAX_BLOCK_BYTES) / batch_bytes))
        size = max(MIN_BLOCK_BYTES, int(batches * min(batch_bytes, MAX_BLOCK_BYTES)))
        found = None
        for found in _cut_lines(source, reader, start, line, limit=limit, size=size, now_us=now_us):
            start, line, room_bytes = found.end, found.end_line, room_bytes - (found.end - found.start)
            yield found
            if room_bytes <= 0:
                return
        if found:
            close_rows = CLOSE_ROWS
            row_bytes = (found.end - found.start) / found.readings.rows
            continue
        found = cut(source, reader, start, line, limit=min(limit, close_rows), now_us=now_us)
        if found is None:
            return
        close_rows *= 4
        start, line, room_bytes = found.end, found.end_line, room_bytes - (found.end - found.start)
        yield found


def _cut_lines(
    source: SourceFile, reader: Reader, start: int, line: int, *, limit: int, size: int, now_us: int
) -> Iterator[Cut]:
    """The batches in one block, as far as it can be read line by line."""
    if source.head.format is None:
        return
    block = source.read(start, size)
    rows = source.head.format.read_lines(block, reader.max_record, reader.reading(now_us))
    count = len(rows.codes)
    # What would be a short batch is read again with the block behind it.
    whole = count - count % limit if len(block) == size and count > limit else count
    first = 0
    while first < whole:
        begin = int(rows.starts[first])
        # A block may be longer than a batch, which must be cut again from one.
        longest = int(np.searchsorted(rows.ends, begin + MAX_BLOCK_BYTES, side="right"))
        last = min(first + limit, whole, max(longest, first + 1))
        end = int(rows.ends[last - 1])
        readings = rows.readings(start, line, slice(first, last))
        yield _named(
            source, reader, memoryview(block)[begin:end], start + begin, start + end, line + first, line + last, readings
        )
        first = last


def first_timestamp_us(source: SourceFile, max_record: int) -> int | None:
    """The time of a source's first reading, where a replay begins; None if it has none."""
    reader = Reader(max_record, Limits(-ANY_TIME_US, ANY_TIME_US))
    coming = cuts(source, reader, source.head.end, source.head.lines + 1, limit=CLOSE_ROWS, room_bytes=source.size(), now_us=0)
    return next((int(found.readings.ts_us[0]) for found in coming if len(found.readings.ts_us)), None)


def _foreign(source: SourceFile, reader: Reader) -> Cut | None:
    """The one row of a file that has no known header."""
    end = source.line_end(0)
    if not end:
        return None
    raw = kept(source.read(0, min(end, MAX_KEPT_BYTES + 2)))
    return _named(source, reader, raw, 0, end, 1, 2, _only(QuarantinedRow(0, 1, "unknown_format", raw)))


def _overlong(source: SourceFile, reader: Reader, start: int, at: int, line: int, at_line: int) -> Cut | None:
    """A line longer than the longest record and than the block: one row, of which the beginning is kept."""
    end = source.line_end(at)
    if end is None:
        return None
    raw = kept(source.read(at, min(end - at, MAX_KEPT_BYTES + 2)))
    readings = _only(QuarantinedRow(at, at_line, "too_long", raw))
    return _named(source, reader, raw, start, end, line, at_line + 1, readings)


def _only(row: QuarantinedRow) -> Readings:
    return Readings.of_quarantined([row])


def _named(
    source: SourceFile,
    reader: Reader,
    content: bytes | memoryview,
    start: int,
    end: int,
    line: int,
    end_line: int,
    readings: Readings,
) -> Cut:
    batch_id = digests.batch_id(
        digests.digest(content),
        start,
        end,
        source.head.fingerprint,
        reader.anchor_us,
        reader.interpretation(),
    )
    return Cut(batch_id, start, end, line, end_line, readings)
