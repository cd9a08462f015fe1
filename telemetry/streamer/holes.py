"""Holds back what may be read better in a while, as what was read is not read again.

Where a client of NFS writes its pages out of order, or several writers each have their place in a file, bytes that are not
written yet read as NULs. They wait until they are filled, or have stood there for long. And whether a reading is too new is
judged by the broker's clock: if the edge's or the database's is far ahead of it, one is wrong, and nobody here knows which.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import takewhile

from telemetry.streamer.batching import CutBatch

log = logging.getLogger(__name__)

# Clocks agree that differ by no more.
APART_US = 60 * 1_000_000


@dataclass(slots=True)
class Holes:
    """Since when the rows with NULs are there that come next in a source. `hold_s` is how long they may be filled."""

    hold_s: float
    is_holding: bool = False
    _seen_s: dict[int, float] = field(default_factory=dict)

    def before(self, batches: list[CutBatch], now_s: float, ahead_us: int, *, final: bool) -> list[CutBatch]:
        """The batches before the first that must wait. A file that is `final` has no NULs that may still be filled.

        `ahead_us`: how far another clock is ahead of the broker's, by which the batches were read.
        """
        agreed = list(takewhile(lambda batch: not is_disputed(batch, ahead_us), batches))
        was_holding, self.is_holding = self.is_holding, len(agreed) < len(batches)
        if self.is_holding and not was_holding:
            log.warning(
                "the clock of this edge or of the database is %d s ahead of the broker's: rows too new by the broker's wait",
                ahead_us // 1_000_000,
            )
        return agreed if final else self._filled(agreed, now_s)

    def _filled(self, batches: list[CutBatch], now_s: float) -> list[CutBatch]:
        offsets = [_holes(batch) for batch in batches]
        self._seen_s = {at: self._seen_s.get(at, now_s) for of_batch in offsets for at in of_batch}
        young = (n for n, of_batch in enumerate(offsets) if any(now_s - self._seen_s[at] < self.hold_s for at in of_batch))
        first = next(young, len(batches))
        self.is_holding |= first < len(batches)
        return batches[:first]


def is_disputed(batch: CutBatch, ahead_us: int) -> bool:
    """Whether a batch has rows that are too new by the broker's clock, and may not be by another one."""
    return ahead_us > APART_US and any(row.reason == "too_new" for row in batch.readings.quarantined)


def _holes(batch: CutBatch) -> list[int]:
    """Where rows with NULs begin. What is not read anyway need not wait."""
    return [row.offset for row in batch.readings.quarantined if b"\0" in row.raw and row.reason != "unknown_format"]
