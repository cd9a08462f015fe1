"""What a streamer has read of a source in its life, and what became of it by the acknowledgements. Commands show it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from telemetry.readings.rows import Readings


class Rows(NamedTuple):
    """The rows of a batch in flight: all of them, those without a value, and those for the quarantine by reason."""

    read: int
    blank: int
    quarantined: Counter[str]


@dataclass(slots=True)
class Tally:
    """Rows read, and of those that the centre has settled: the dead, the blank, and the quarantined by reason.

    `unread` counts the lines behind headers that no format knows.
    """

    rows_read: int = 0
    unread: int = 0
    dead_batches: int = 0
    dead_rows: int = 0
    blank: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    _rows_of: dict[str, Rows] = field(default_factory=dict)

    def read(self, batch_id: str, readings: Readings, unread: int = 0) -> None:
        """A batch was read for the first time."""
        self.rows_read += readings.rows
        self.unread += unread
        reasons = Counter(row.reason for row in readings.quarantined)
        self._rows_of[batch_id] = Rows(readings.rows, readings.blank, reasons)

    def settled(self, batch_id: str, status: str) -> None:
        """A batch was acknowledged, as `stored` or `dead`."""
        rows = self._rows_of.pop(batch_id, None)
        if rows is None:
            return
        if status == "dead":
            self.dead_batches, self.dead_rows = self.dead_batches + 1, self.dead_rows + rows.read
        else:
            self.blank += rows.blank
            self.quarantined += rows.quarantined

    def forget(self) -> None:
        """What was in flight or unread is read again."""
        self.unread = 0
        self._rows_of.clear()


class Read(NamedTuple):
    """What was read of a source, and its path."""

    source_id: str
    path: str
    tally: Tally
