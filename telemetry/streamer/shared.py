"""Reads a large file by several processes: each is given a part of whole batches, and their batches come in the file's order.

Where a batch ends follows from the batches before it. Of a file whose records are lines it also follows from the line ends
alone; so parts are given out by these, before anybody has read the lines. That is a guess: a quoted line end, an empty line or
another header makes the batches end elsewhere. Then what was read behind that is dropped, and asked for anew. So each batch
begins where the one before it ends, and is one that this process could have cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from telemetry.formats.base import ByLines
from telemetry.readings.extent import Place
from telemetry.streamer.batching import MAX_BLOCK_BYTES, TYPICAL_ROW_BYTES, CutBatch, Cutter, Reader, records_in
from telemetry.streamer.parts import Answer, File, Part
from telemetry.streamer.pool import Pool
from telemetry.streamer.source import SourceFile, Stamp

# Of less it is not worth while to start processes, each of which has to learn the series.
LEAST_BYTES = 64 << 20
# A step cuts no more.
PART_BYTES = MAX_BLOCK_BYTES
# After as many wrong guesses in a row, none are made any more.
MAX_MISSES = 3
# So many parts wait beside those that are read, for what is published takes time.
SPARE_PARTS = 2
LINE_END = b"\n"


@dataclass(slots=True)
class Shared:
    """Cuts the batches of one source as `Cutter` does, with the help of a pool where `least_bytes` of it are left."""

    source: SourceFile
    reader: Reader
    pool: Pool
    least_bytes: int = LEAST_BYTES
    _asked: deque[tuple[Part, Future[Answer]]] = field(default_factory=deque)
    _read: deque[CutBatch] = field(default_factory=deque)
    # What the guesses rest on.
    _basis: tuple[int, Stamp] | None = None
    _misses: int = 0
    _turn: int = 1

    def batches(
        self, place: Place, *, limit: int, room_bytes: int, now_us: int, row_bytes: float = TYPICAL_ROW_BYTES
    ) -> Iterator[CutBatch]:
        """What `Cutter.batches` gives for the same."""
        known = self.source.head.format
        if isinstance(known, ByLines) and not place.header and not known.counts_days:
            self._ask(known, place, limit, now_us)
            while room_bytes > 0 and (batch := self._next(known)):
                place, room_bytes = batch.extent.next, room_bytes - batch.extent.size_bytes
                yield batch
        # Whoever asks takes it for the end where the room is not filled.
        cutter = Cutter(self.source, self.reader)
        yield from cutter.batches(place, limit=limit, room_bytes=room_bytes, now_us=now_us, row_bytes=row_bytes)

    def _ask(self, known: ByLines, place: Place, limit: int, now_us: int) -> None:
        """See that every process of the pool has a part to read, and that the parts follow on the place."""
        basis = (limit, self.source.stamp())
        if basis != self._basis:
            self._drop()
            self._basis = basis
        if self._read or self._asked:
            if place != (self._read[0].extent.first if self._read else self._asked[0][0].place):
                # It was taken and not published, and so it may be each time.
                self._give_up()
        elif self.source.size() - place.offset < self.least_bytes:
            return
        if self._misses >= MAX_MISSES or not self.pool.count:
            return
        at = self._asked[-1][0].behind if self._asked else self._read[-1].extent.next if self._read else place
        while len(self._asked) < self.pool.count + SPARE_PARTS and (part := self._part(known, at, limit, now_us)):
            self._asked.append((part, self.pool.read(part)))
            at = part.behind

    def _part(self, known: ByLines, place: Place, limit: int, now_us: int) -> Part | None:
        """The part at a place, as far as line ends tell; None if no whole batch is left, or one is larger than a block."""
        file = File.of(self.source, self.reader)
        block, records = self.source.read(place.offset, PART_BYTES), records_in(known, limit)
        # Three times as fast as the count of bytes.
        lines = int(np.count_nonzero(np.frombuffer(block, np.uint8) == LINE_END[0]))
        batches = lines // records
        if not batches or file is None:
            return None
        end = len(block)
        for _ in range(lines - batches * records + 1):
            end = block.rindex(LINE_END, 0, end)
        behind = Place(place.offset + end + 1, place.line + batches * records)
        return Part(file, self._turn, place, behind, batches, limit, now_us)

    def _next(self, known: ByLines) -> CutBatch | None:
        """The next batch that the pool reads, once it is read; None if it does not read it."""
        if not self._read and self._asked:
            part, future = self._asked.popleft()
            try:
                answer = future.result()
            except Exception as error:  # noqa: BLE001 - whatever it is, this process meets it too, or it was that process'
                self.pool.lose(error)
                self._give_up()
                return None
            if not self._is_within_bound(known, answer):
                self._give_up()
                return None
            self._read.extend(answer.batches)
            if answer.batches and answer.batches[-1].extent.next == part.behind:
                self._misses = 0
            else:
                self._misses += 1
                self._forget_asked()
        return self._read.popleft() if self._read else None

    def _is_within_bound(self, known: ByLines, answer: Answer) -> bool:
        """Whether the source has so few series that it does not matter which process has made which of them."""
        rows = chain.from_iterable(batch.readings.quarantined for batch in answer.batches)
        is_judged = any(row.reason == "too_many_series" for row in rows)
        return not is_judged and known.bound.admits(answer.series, self.reader.limits.series)

    def _give_up(self) -> None:
        self._misses = MAX_MISSES
        self._drop()

    def _drop(self) -> None:
        self._read.clear()
        self._forget_asked()

    def _forget_asked(self) -> None:
        for _, future in self._asked:
            future.cancel()
        self._asked.clear()
        self._turn += 1
