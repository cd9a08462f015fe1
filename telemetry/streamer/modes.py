"""What of a source is read next, in each of the two modes: its tail as it grows, or a replay paced by the clock.

A mode reads and keeps the pace; how much room there is and what becomes of a batch is `stream`'s business.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from telemetry.progress.state import Pace
from telemetry.progress.window import Window
from telemetry.streamer.batching import TYPICAL_ROW_BYTES, CutBatch, Cutter, Reader, first_timestamp_us
from telemetry.streamer.shared import Shared
from telemetry.streamer.source import SourceFile

log = logging.getLogger(__name__)

# When so many batches are unread the streamer takes larger ones.
BEHIND_BATCHES = 20
# Several batches must fit into a window: one is read while another is stored.
BATCHES_A_WINDOW = 4
# A replay that waits for longer says so.
LONG_WAIT_US = 3600 * 1_000_000
# A replay that nobody played for longer begins anew, so that what it shows is of now.
LEFT_BEHIND_US = 30 * 1_000_000


@dataclass(slots=True)
class Tail:
    """Follows a growing file: all that is complete, in larger batches while much is unread. Sizes are settings.

    `shared` is how it is read by several processes, None if by this one alone.
    """

    source: SourceFile
    reader: Reader
    batch_size: int
    catch_up_size: int
    window_bytes: int
    shared: Shared | None = None
    _row_bytes: float = TYPICAL_ROW_BYTES

    replays: ClassVar = False
    holds_back: ClassVar = False
    is_left_behind: ClassVar = False

    def begin(self, now_us: int) -> None:
        """A tail has no pass: nothing to prepare."""

    def resume(self, pace: Pace) -> None:
        """A tail has no pass: nothing to take up."""

    def coming(self, window: Window, unread_bytes: int, room_bytes: int, now_us: int) -> Iterator[CutBatch]:
        """The next batches behind a window: what is known to be unread, as far as there is room and rows are complete."""
        limit = self.batch_size
        if unread_bytes > BEHIND_BATCHES * limit * self._row_bytes:
            limit = max(limit, min(self.catch_up_size, int(self.window_bytes / BATCHES_A_WINDOW / self._row_bytes)))
        cutter = self.shared or Cutter(self.source, self.reader)
        batches = cutter.batches(
            window.next,
            limit=limit,
            # What comes while this is read is the next step's: a look behind the last row costs as much as the row.
            room_bytes=min(room_bytes, unread_bytes),
            now_us=now_us,
            row_bytes=self._row_bytes,
        )
        for batch in batches:
            self._row_bytes = batch.row_bytes
            yield batch

    def pace(self) -> Pace:
        """What is kept of it."""
        return Pace()


@dataclass(slots=True)
class Replay:
    """Plays a closed file again and again, a batch at a time; its times are shifted so that a pass begins at its anchor.

    `holds_back`: rows are left, but the clock decides when they come. `is_left_behind`: nobody played it for a while, and its
    pass is to end here. `pass_end_us`: the latest time that was played.
    """

    source: SourceFile
    reader: Reader
    batch_size: int
    pass_end_us: int = 0
    holds_back: bool = False
    is_left_behind: bool = False
    _has_resumed: bool = False
    _waiting: CutBatch | None = None

    replays: ClassVar = True

    def begin(self, now_us: int) -> None:
        """Begin a pass. Its times come after those of the pass before, whatever became of the clock."""
        anchor_us = max(now_us, self.pass_end_us + 1)
        first_us = first_timestamp_us(self.source, self.reader.max_record)
        self.reader = replace(self.reader, anchor_us=anchor_us, first_us=anchor_us if first_us is None else first_us)
        self._waiting, self._has_resumed, self.is_left_behind = None, False, False

    def resume(self, pace: Pace) -> None:
        """Go on with a pass that was begun."""
        self.pass_end_us, self._has_resumed = pace.pass_end_us, True
        self.reader = replace(self.reader, anchor_us=pace.anchor_us, first_us=pace.first_us)

    def coming(self, window: Window, unread_bytes: int, room_bytes: int, now_us: int) -> Iterator[CutBatch]:
        """The next batch, unless it would run ahead of the clock, or would show what is long past."""
        has_waited = self._waiting is not None
        cutter = Cutter(self.source, self.reader)
        batch = self._waiting or cutter.next(window.next, limit=self.batch_size, now_us=now_us)
        self.holds_back, self._waiting = batch is not None, None
        if batch is None:
            return
        latest_us = int(batch.readings.ts_us.max(initial=0))
        self.is_left_behind |= self._has_resumed and latest_us < now_us - LEFT_BEHIND_US
        self._has_resumed = False
        if self.is_left_behind:
            return
        if latest_us <= now_us:
            self.pass_end_us = max(self.pass_end_us, latest_us)
            yield batch
            return
        self._waiting = batch
        if not has_waited and latest_us > now_us + LONG_WAIT_US:
            hours = (latest_us - now_us) / LONG_WAIT_US
            log.warning("%s: line %d waits %.1f hours to be replayed", self.source.path, batch.extent.line, hours)

    def pace(self) -> Pace:
        """What is kept of it."""
        return Pace(self.reader.anchor_us, self.reader.first_us, self.pass_end_us)
