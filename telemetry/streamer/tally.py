"""What a streamer has read of a source in its life, and what of that died at the centre: for whoever shows it to a person."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Rows read, and the batches and rows that ended as dead."""

    rows_read: int = 0
    dead_batches: int = 0
    dead_rows: int = 0
    _rows_of: dict[str, int] = field(default_factory=dict)

    def read(self, batch_id: str, rows: int) -> None:
        """A batch of so many rows was read for the first time."""
        self.rows_read += rows
        self._rows_of[batch_id] = rows

    def settled(self, batch_id: str, status: str) -> None:
        """A batch was acknowledged, as `stored` or `dead`."""
        rows = self._rows_of.pop(batch_id, None)
        if status == "dead" and rows is not None:
            self.dead_batches, self.dead_rows = self.dead_batches + 1, self.dead_rows + rows

    def forget_flights(self) -> None:
        """What was in flight is read again."""
        self._rows_of.clear()
