"""What a batch holds, whatever the format: readings of series, a count of blank ones, rows for the quarantine.

Owns the reasons why a row cannot be read, and what the quarantine keeps of one. Reading bytes is `telemetry.formats`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REASONS = (
    *("", "bad_timestamp", "ambiguous_time", "too_old", "too_new", "no_metric", "no_gpu", "long_name", "bad_labels"),
    *("too_many_series", "blank", "bad_value", "header", "unknown_format", "bad_columns"),
)
REASON_CODE = {reason: code for code, reason in enumerate(REASONS)}
BLANK = REASON_CODE["blank"]
# A header that stands among the records: no row at all.
HEADER = REASON_CODE["header"]

MAX_KEPT_BYTES = 1 << 16

Codes = NDArray[np.int64]
Flags = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that cannot be read: byte offset and line (from 1) in the source, the reason, the bytes kept of it."""

    offset: int
    line: int
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Readings:
    """What a batch holds. `codes`, `ts_us` and `values` have an entry a reading; codes point into `series` (texts).

    `blank` counts readings without a value. `records` counts the records that all of this stands in, malformed lines included.
    """

    series: list[str]
    codes: Codes
    ts_us: Codes
    values: NDArray[np.float64]
    blank: int
    quarantined: list[QuarantinedRow]
    records: int

    @classmethod
    def of_quarantined(cls, rows: list[QuarantinedRow]) -> Readings:
        """Only rows for the quarantine, each a record."""
        none = np.empty(0, np.int64)
        return cls([], none, none, np.empty(0, np.float64), 0, rows, len(rows))

    @property
    def rows(self) -> int:
        """Readings of every class: with a value, blank, and one for each quarantined row."""
        return len(self.codes) + self.blank + len(self.quarantined)


def kept(row: bytes) -> bytes:
    """What the quarantine keeps of a row: its bytes without the line end, at most MAX_KEPT_BYTES."""
    return row[: len(row) - line_end_length(row)][:MAX_KEPT_BYTES]


def line_end_length(record: bytes) -> int:
    """Bytes of the line end a record carries: 0, 1 or 2."""
    return 2 if record.endswith(b"\r\n") else 1 if record.endswith(b"\n") else 0
