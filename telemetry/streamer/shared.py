"""Reads a large file by several processes: each is given a part of whole batches, and their batches come in the file's order.

Where a batch ends follows from the batches before it. Of a file whose records are lines it also follows from the line ends
alone; so parts are given out by these, before anybody has read the lines. That is a guess: a quoted line end, an empty line or
another header makes the batches end elsewhere. Then what was read behind that is dropped, and asked for anew. So each batch
begins where the one before it ends, and is one that this process could have cut.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from telemetry.formats.base import ByLines
from telemetry.readings.extent import Place
from telemetry.streamer.batching import MAX_BLOCK_BYTES, TYPICAL_ROW_BYTES, CutBatch, Cutter, Reader, records_in
from telemetry.streamer.parts import File, Part
from telemetry.streamer.pool import PARTS_A_PROCESS, Asked, Pool
from telemetry.streamer.source import SourceFile, Stamp

log = logging.getLogger(__name__)

# Of less it is not worth while to start processes, each of which has to learn the series.
LEAST_BYTES = 64 << 20
# A step cuts no more.
PART_BYTES = MAX_BLOCK_BYTES
# After as many parts in a row that were of no use, none are asked for any more.
MAX_MISSES = 3
LINE_END = b"\n"


class Basis(NamedTuple):
    """What guesses rest on: how many readings a batch has at most, and the file as it is."""

    limit: int
    stamp: Stamp

    def holds_after(self, before: Basis | None) -> bool:
        """Whether guesses that were made before hold: the file is the same, or has grown."""
        return before == self or (before is not None and before.limit == self.limit and before.stamp.size < self.stamp.size)


@dataclass(slots=True)
class Shared:
    """Cuts the batches of one source as `Cutter` does, with the help of a pool where `least_bytes` of it are left."""

    source: SourceFile
    reader: Reader
    pool: Pool
    least_bytes: int = LEAST_BYTES
    _asked: deque[tuple[Part, Asked]] = field(default_factory=deque)
    _read: deque[CutBatch] = field(default_factory=deque)
    # What the guesses rest on.
    _basis: Basis | None = None
    _misses: int = 0
    _turn: int = field(init=False)

    def __post_init__(self) -> None:
        self._turn = self.pool.turn()

    def batches(
        self, place: Place, *, limit: int, room_bytes: int, now_us: int, row_bytes: float = TYPICAL_ROW_BYTES
    ) -> Iterator[CutBatch]:
        """The next batches until they have filled so many bytes, or no record is complete; see `Cutter.batches`."""
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
        """See that the pool has parts to read, as many as it takes, and that they follow on the place."""
        # Also of what is no longer asked for: whoever waits to answer has its file open.
        takes_a_part = self.pool.takes_a_part()
        before, self._basis = self._basis, Basis(limit, self.source.stamp())
        if self._read or self._asked:
            if place != (self._read[0].extent.first if self._read else self._asked[0][0].place):
                # It was taken and not published, and so it may be each time.
                self._give_up()
            elif not self._basis.holds_after(before):
                self._miss()
                self._read.clear()
        elif self.source.size() - place.offset < self.least_bytes:
            return
        if self._misses >= MAX_MISSES:
            return
        at = self._asked[-1][0].behind if self._asked else self._read[-1].extent.next if self._read else place
        # As many as all processes take, and no more: what is read is in memory until there is room for it.
        while takes_a_part and len(self._asked) < PARTS_A_PROCESS * self.pool.count:
            part = self._part(known, at, limit, now_us)
            asked = self.pool.ask(part) if part else None
            if part is None or asked is None:
                return
            self._asked.append((part, asked))
            at, takes_a_part = part.behind, self.pool.takes_a_part()

    def _part(self, known: ByLines, place: Place, limit: int, now_us: int) -> Part | None:
        """The part at a place, as far as line ends tell; None if no whole batch is left, or one is larger than a block."""
        file, records = File.of(self.source, self.reader), records_in(known, limit)
        block = self.source.read(place.offset, PART_BYTES) if file else b""
        # Three times as fast as the count of bytes.
        lines = int(np.count_nonzero(np.frombuffer(block, np.uint8) == LINE_END[0]))
        batches = lines // records
        if not batches or file is None:
            if len(block) in (0, PART_BYTES):
                # Nor will there be any.
                self._misses = MAX_MISSES
            return None
        end = len(block)
        for _ in range(lines - batches * records + 1):
            end = block.rindex(LINE_END, 0, end)
        behind = Place(place.offset + end + 1, place.line + batches * records)
        return Part(file, self._turn, place, behind, batches, limit, now_us)

    def _next(self, known: ByLines) -> CutBatch | None:
        """The next batch that the pool reads, once it is read; None if it does not read it, or what it read is of no use."""
        if not self._read and self._asked:
            part, asked = self._asked.popleft()
            answer = self.pool.wait(asked)
            if answer is None or answer.error:
                log.info("%s is read by one process: %s", self.source.path, answer.error if answer else "the others are gone")
                self._give_up()
                return None
            reasons = {row.reason for batch in answer.batches for row in batch.readings.quarantined}
            limit = self.reader.limits.series
            if "too_many_series" in reasons or not known.bound.admits(answer.series, limit, answer.column):
                # Which series are beyond the bound depends on which were made first.
                self._give_up()
                return None
            if "too_new" in reasons:
                # They need not be by now.
                self._miss()
                return None
            self._read.extend(answer.batches)
            if answer.batches and answer.batches[-1].extent.next == part.behind:
                self._misses = 0
            else:
                self._miss()
        return self._read.popleft() if self._read else None

    def _give_up(self) -> None:
        self._miss()
        self._misses = MAX_MISSES
        self._read.clear()

    def _miss(self) -> None:
        """Ask anew for what comes behind that which is read."""
        self._misses += 1
        self._asked.clear()
        self._turn = self.pool.turn()
