"""Holds back what stands at NULs that were seen a moment ago.

Where a client of NFS writes its pages out of order, or several writers each have their place in a file, bytes that are not
written yet read as NULs. What was read is not read again, so they wait until they are filled, or have stood there for long.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from telemetry.streamer.batching import CutBatch


@dataclass(slots=True)
class Holes:
    """Since when the rows with NULs are there that come next in a source. `hold_s` is how long they may be filled."""

    hold_s: float
    is_holding: bool = False
    _seen_s: dict[int, float] = field(default_factory=dict)

    def before(self, batches: list[CutBatch], now_s: float) -> list[CutBatch]:
        """The batches before the first that has NULs which may still be filled."""
        offsets = [_holes(batch) for batch in batches]
        self._seen_s = {at: self._seen_s.get(at, now_s) for of_batch in offsets for at in of_batch}
        young = (n for n, of_batch in enumerate(offsets) if any(now_s - self._seen_s[at] < self.hold_s for at in of_batch))
        first = next(young, len(batches))
        self.is_holding = first < len(batches)
        return batches[:first]


def _holes(batch: CutBatch) -> list[int]:
    """Where rows with NULs begin. What is not read anyway need not wait."""
    return [row.offset for row in batch.readings.quarantined if b"\0" in row.raw and row.reason != "unknown_format"]
