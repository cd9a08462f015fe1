"""Holds back what stands at NULs that were seen a moment ago.

Where a client of NFS writes its pages out of order, or several writers each have their place in a file, bytes that are not
written yet read as NULs. What was read is not read again, so they wait until they are filled, or have stood there for long.
"""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.streamer.batching import CutBatch


@dataclass(slots=True)
class Holes:
    """The first row with NULs of a source, and since when it is there. `hold_s` is how long it may be filled."""

    hold_s: float
    is_holding: bool = False
    _offset: int = -1
    _since_s: float = 0.0

    def before(self, batches: list[CutBatch], now_s: float) -> list[CutBatch]:
        """The batches before the first that has NULs which may still be filled."""
        self.is_holding = False
        for place, batch in enumerate(batches):
            rows = batch.readings.quarantined
            # What is not read anyway need not wait.
            offset = next((row.offset for row in rows if b"\0" in row.raw and row.reason != "unknown_format"), None)
            if offset is None:
                continue
            if offset != self._offset:
                self._offset, self._since_s = offset, now_s
            if now_s - self._since_s < self.hold_s:
                self.is_holding = True
                return batches[:place]
        return batches
