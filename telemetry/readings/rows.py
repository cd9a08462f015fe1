"""Rows and what became of them: readings of a series, blanks, rows for the quarantine. The same for every format."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from telemetry.formats.records import MAX_KEPT_BYTES, Malformed, line_end_length

REASONS = ("", "bad_timestamp", "too_old", "too_new", "no_metric", "no_gpu", "long_name", "bad_labels", "blank", "bad_value")
REASON_CODE = {reason: code for code, reason in enumerate(REASONS)}
BLANK = REASON_CODE["blank"]

Codes = NDArray[np.int64]
Flags = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that is no reading: byte offset and line (from 1) in the source, the reason, the bytes kept of it."""

    offset: int
    line: int
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Readings:
    """The rows of a batch. `codes`, `ts_us` and `values` have an entry a reading; codes point into `series` (texts)."""

    series: list[str]
    codes: Codes
    ts_us: Codes
    values: NDArray[np.float64]
    blank: int
    quarantined: list[QuarantinedRow]

    @classmethod
    def of_quarantined(cls, rows: list[QuarantinedRow]) -> Readings:
        """Rows none of which is a reading."""
        none = np.empty(0, np.int64)
        return cls([], none, none, np.empty(0, np.float64), 0, rows)

    @property
    def rows(self) -> int:
        """Rows of every class."""
        return len(self.codes) + self.blank + len(self.quarantined)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a block, an entry each: its series among `texts`, why it is no reading (0: it is one), time, value, place.

    `starts` and `ends` are bytes of the block, `lines` counts from 0; `malformed` are lines that are not even records.
    """

    block: bytes
    texts: list[str]
    codes: Codes
    reasons: Flags
    ts_us: Codes
    values: NDArray[np.float64]
    starts: Codes
    ends: Codes
    lines: Codes
    malformed: list[Malformed] = field(default_factory=list)

    def readings(self, offset: int, line: int, rows: slice = slice(None)) -> Readings:
        """Some of the rows as a batch holds them; `offset` and `line` (from 1) are where the block begins in its source."""
        reasons = self.reasons[rows]
        good = reasons == 0
        # Hashed rather than sorted: half the time.
        encoded = pa.array(self.codes[rows][good]).dictionary_encode()
        return Readings(
            series=[self.texts[n] for n in encoded.dictionary.to_pylist()],
            codes=encoded.indices.to_numpy().astype(np.int64),
            ts_us=self.ts_us[rows][good],
            values=self.values[rows][good],
            blank=int((reasons == BLANK).sum()),
            quarantined=self._quarantined(offset, line, np.flatnonzero((reasons > 0) & (reasons != BLANK)) + (rows.start or 0)),
        )

    def _quarantined(self, offset: int, line: int, rows: Codes) -> list[QuarantinedRow]:
        found = [
            QuarantinedRow(offset + bad.start, line + bad.line, bad.reason, kept(self.block[bad.start : bad.end]))
            for bad in self.malformed
        ]
        for n in rows.tolist():
            start, end = int(self.starts[n]), int(self.ends[n])
            reason = REASONS[self.reasons[n]]
            found.append(QuarantinedRow(offset + start, line + int(self.lines[n]), reason, kept(self.block[start:end])))
        return sorted(found, key=lambda row: row.offset)


def kept(row: bytes) -> bytes:
    """What the quarantine keeps of a row: its bytes without the line end, at most MAX_KEPT_BYTES."""
    return row[: len(row) - line_end_length(row)][:MAX_KEPT_BYTES]
