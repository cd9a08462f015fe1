"""The rows of a block as a format reads them, and how some of them become the readings of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from telemetry.formats.records import Malformed
from telemetry.readings.rows import BLANK, REASONS, Codes, Flags, QuarantinedRow, Readings, kept


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
