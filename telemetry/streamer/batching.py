"""Takes batches out of a source: from an offset, so many complete records as asked for, with their readings.

The id of a batch is a function of the bytes and of the header in force: taking the same stretch again later gives the same
id, which is what makes publishing again harmless. A header that changes how what follows is read ends its batch. How
much is read and when is left to `modes` and `stream`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from telemetry.formats.base import UNKNOWN, ByLines, Format, Limits, Pass
from telemetry.formats.headers import settle, unread_in
from telemetry.readings import digests, wire
from telemetry.readings.extent import Extent, Place
from telemetry.readings.rows import MAX_KEPT_BYTES, QuarantinedRow, Readings, kept
from telemetry.settings import Settings
from telemetry.streamer.source import SourceFile

MIN_BLOCK_BYTES = 1 << 16
MAX_BLOCK_BYTES = 8 << 20
UNREAD_BLOCK_BYTES = 1 << 20
BLOCK_BEHIND_HEADER_BYTES = 1 << 12
# No block is as large.
MANY_BYTES = 1 << 30
TYPICAL_ROW_BYTES = 600
# Readings that are read closely where one of them asks for it.
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

    @classmethod
    def of(cls, settings: Settings, future_us: int | None = None) -> Reader:
        """How the settings have sources read; `future_us` stands for how far ahead of now they believe times."""
        future_us = settings.future_limit_s * 1_000_000 if future_us is None else future_us
        floor_us = int(settings.timestamp_floor.timestamp()) * 1_000_000
        return cls(settings.max_record_bytes, Limits(floor_us, future_us, settings.max_series))

    @property
    def shift_us(self) -> int:
        """What a replay adds to each timestamp."""
        return 0 if self.anchor_us is None else self.anchor_us - self.first_us

    def reading(self, now_us: int) -> Pass:
        """How times are read at a time."""
        return Pass(self.limits, now_us, self.shift_us)


@dataclass(frozen=True, slots=True)
class CutBatch:
    """A batch as it was taken out of a source: its id, the stretch it covers, its readings, and how many lines are unread."""

    batch_id: str
    extent: Extent
    readings: Readings
    unread: int = 0

    @property
    def row_bytes(self) -> float:
        """Bytes a reading, or a line that is not read."""
        return self.extent.size_bytes / max(1, self.readings.rows + self.unread)


@dataclass(frozen=True, slots=True)
class Cutter:
    """Takes batches out of a source by the way it is read."""

    source: SourceFile
    reader: Reader

    def interpretation(self, header: int = 0) -> str:
        """How the bytes under a header are read: part of a batch's id. What is unread has no more said of it."""
        known, mark = self.source.section(header)
        how = f"{known.interpretation(self.reader.limits)};record={self.reader.max_record}" if known else UNKNOWN
        return f"{how};header={mark}" if mark else how

    def next(self, place: Place, *, limit: int, now_us: int) -> CutBatch | None:
        """The next batch, None if no record is complete yet. It has at most `limit` readings, but a whole record at least."""
        return self._closely(place, limit, now_us)

    def again(self, extent: Extent, *, now_us: int) -> CutBatch | None:
        """The batch that covers exactly this stretch, None if its bytes are no longer there."""
        return self._closely(extent.first, wire.MAX_ROWS, now_us, extent.end)

    def header_at(self, offset: int) -> int:
        """The header in force at an offset, learnt by reading all records before it."""
        place = self.source.head.first
        for batch in self.batches(place, limit=wire.MAX_ROWS, room_bytes=offset, now_us=0):
            if batch.extent.end > offset:
                break
            place = batch.extent.next
        return place.header

    def batches(
        self, place: Place, *, limit: int, room_bytes: int, now_us: int, row_bytes: float = TYPICAL_ROW_BYTES
    ) -> Iterator[CutBatch]:
        """The next batches one after the other until they have filled so many bytes, or no record is complete.

        Each has at most `limit` readings, but a whole record at least. `row_bytes` is how long readings are, about: blocks
        are read that hold whole batches, as many as the room asks for.
        """
        # Behind a header there may be the next one soon.
        close_rows, most_bytes = CLOSE_ROWS, MIN_BLOCK_BYTES if place.header else MANY_BYTES
        while room_bytes > 0:
            batch_bytes = limit * row_bytes * SPARE
            batches = max(1, math.ceil(min(room_bytes, MAX_BLOCK_BYTES) / batch_bytes))
            size = min(max(MIN_BLOCK_BYTES, int(batches * min(batch_bytes, MAX_BLOCK_BYTES))), most_bytes)
            header, most_bytes = place.header, min(2 * most_bytes, MANY_BYTES)
            batch = None
            for batch in self._by_lines(place, limit, size, now_us):
                place, room_bytes = batch.extent.next, room_bytes - batch.extent.size_bytes
                yield batch
                if room_bytes <= 0:
                    return
            if batch:
                close_rows, row_bytes = CLOSE_ROWS, batch.row_bytes
            else:
                batch = self.next(place, limit=min(limit, close_rows), now_us=now_us)
                if batch is None:
                    return
                close_rows *= 4
                place, room_bytes = batch.extent.next, room_bytes - batch.extent.size_bytes
                yield batch
            if place.header != header:
                close_rows, most_bytes = CLOSE_ROWS, BLOCK_BEHIND_HEADER_BYTES

    def _closely(self, place: Place, limit: int, now_us: int, stop: int | None = None) -> CutBatch | None:
        """The next batch of at most `limit` readings; with `stop`: exactly the records up to there."""
        source, max_record, (start, line, header) = self.source, self.reader.max_record, place
        known = source.section(header).format
        if known is None:
            return self._unread(place, stop) if header else self._foreign(start)
        size = max(MIN_BLOCK_BYTES, min(records_in(known, limit) * TYPICAL_ROW_BYTES, MAX_BLOCK_BYTES))
        while True:
            # No batch is larger than that, but for a single line that is too long.
            block = source.read(start, size if stop is None else min(stop - start, MAX_BLOCK_BYTES + max_record))
            at_end = len(block) < size if stop is None else start + len(block) == stop
            final = at_end and (source.final or stop is not None)
            records = records_in(known, limit) if stop is None else limit
            taken = known.split(block, limit=records, max_record=max_record, final=final)
            if taken.rows == 1 and taken.malformed and taken.malformed[0].reason == "too_long":
                # The same batch, wherever the block ends.
                row = taken.malformed[0]
                return self._overlong(place, start + row.start, line + row.line)
            if taken.rows:
                break
            if taken.overlong:
                return self._overlong(place, start + taken.end, line + taken.end_line)
            if at_end or stop is not None:
                return None
            size = min(size * 4, size + MAX_BLOCK_BYTES)
        content = block[: taken.end]
        how = self.reader.reading(now_us)
        if known.counts_days:
            how = replace(how, days=source.midnights(start + taken.end).at(start + taken.starts))
        rows = known.read(taken, content, how)
        if stop is None and len(taken.starts) > records_in(known, limit):
            # A record turned out to have more readings than was known.
            return self._closely(place, limit, now_us)
        turn = settle(rows, known)
        end, end_line, end_header = taken.end, taken.end_line, header
        if turn:
            rows, end, end_line, end_header = rows.before(turn.end), turn.end, turn.end_line, start + turn.start
            source.turned(header)
        extent = Extent(start, start + end, line, line + end_line, header, end_header)
        return self._named(content[:end], extent, rows.readings(start, line))

    def _by_lines(self, place: Place, limit: int, size: int, now_us: int) -> Iterator[CutBatch]:
        """The batches in one block, as far as it can be read line by line."""
        start, line, header = place
        known = self.source.section(header).format
        if not isinstance(known, ByLines):
            return
        block = self.source.read(start, size)
        rows = known.read_lines(block, self.reader.max_record, self.reader.reading(now_us))
        turn = settle(rows, known)
        if turn:
            self.source.turned(header)
        count = int(np.searchsorted(rows.starts, turn.end)) if turn else len(rows.starts)
        limit = records_in(known, limit)
        # What would be a short batch is read again with the block behind it.
        whole = count - count % limit if len(block) == size and count > limit and not turn else count
        first = 0
        while first < whole:
            begin = int(rows.starts[first])
            # A block may be longer than a batch, which must be cut again from one.
            longest = int(np.searchsorted(rows.ends, begin + MAX_BLOCK_BYTES, side="right"))
            last = min(first + limit, whole, max(longest, first + 1))
            end = int(rows.ends[last - 1])
            readings = rows.readings(start, line, slice(first, last))
            end_header = start + turn.start if turn and last == count else header
            extent = Extent(start + begin, start + end, line + first, line + last, header, end_header)
            yield self._named(memoryview(block)[begin:end], extent, readings)
            first = last

    def _foreign(self, start: int) -> CutBatch | None:
        """The one row of a file whose header no format knows."""
        end = None if start else self.source.line_end(0)
        if not end:
            return None
        raw = kept(self.source.read(0, min(end, MAX_KEPT_BYTES + 2)))
        return self._quarantined(raw, Extent(0, end, 1, 2), QuarantinedRow(0, 1, "unknown_format", raw))

    def _unread(self, place: Place, stop: int | None) -> CutBatch | None:
        """Lines behind a header that no format knows, up to the next one that a format knows. They are counted, not read."""
        source, (start, line, header) = self.source, place
        size = min(UNREAD_BLOCK_BYTES, MAX_BLOCK_BYTES if stop is None else stop - start)
        block = source.read(start, size)
        is_whole = start + len(block) == stop if stop is not None else source.final and len(block) < size
        ended = block if is_whole else block[: block.rfind(b"\n") + 1]
        if ended:
            stretch = unread_in(ended, source.settings)
            content, lines = ended[: stretch.size_bytes], stretch.lines
            end, end_line = start + stretch.size_bytes, line + content.count(b"\n")
            end_header = header if stretch.header is None else start + stretch.header
        else:
            end = (len(block) == UNREAD_BLOCK_BYTES and source.line_end(start)) or start
            content, lines, end_line, end_header = block[:MAX_KEPT_BYTES], 1, line + 1, header
        if end == start:
            return None
        extent = Extent(start, end, line, end_line, header, end_header)
        return replace(self._named(content, extent, Readings.of_quarantined([])), unread=lines)

    def _overlong(self, place: Place, at: int, at_line: int) -> CutBatch | None:
        """A line longer than the longest record and than the block: one row, of which the beginning is kept."""
        end = self.source.line_end(at)
        if end is None:
            return None
        raw = kept(self.source.read(at, min(end - at, MAX_KEPT_BYTES + 2)))
        extent = Extent(place.offset, end, place.line, at_line + 1, place.header, place.header)
        return self._quarantined(raw, extent, QuarantinedRow(at, at_line, "too_long", raw))

    def _quarantined(self, raw: bytes, extent: Extent, row: QuarantinedRow) -> CutBatch:
        return self._named(raw, extent, Readings.of_quarantined([row]))

    def _named(self, content: bytes | memoryview, extent: Extent, readings: Readings) -> CutBatch:
        mark, anchor_us = self.source.head.fingerprint, self.reader.anchor_us
        how = self.interpretation(extent.header)
        batch_id = digests.batch_id(digests.digest(content), extent, mark, anchor_us, how)
        return CutBatch(batch_id, extent, readings)


def records_in(known: Format, limit: int) -> int:
    """How many records have at most `limit` readings; one at least."""
    return max(1, limit // known.readings_a_record)


def first_timestamp_us(source: SourceFile, max_record: int) -> int | None:
    """The time of a source's first reading, where a replay begins; None if it has none."""
    cutter = Cutter(source, Reader(max_record, Limits(-ANY_TIME_US, ANY_TIME_US)))
    batches = cutter.batches(source.head.first, limit=CLOSE_ROWS, room_bytes=source.size(), now_us=0)
    return next((int(batch.readings.ts_us[0]) for batch in batches if len(batch.readings.ts_us)), None)
