"""What a format reads of a block, and how some of its records become the readings of a batch.

Which cell means what is the format's; here a reading finds its record, and a record that cannot be read its place in the
quarantine. Who changes what a batch holds of the same bytes raises versions: see `telemetry.formats.base`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from telemetry.formats.records import Malformed
from telemetry.readings.rows import BLANK, HEADER, REASONS, Codes, Flags, QuarantinedRow, Readings, kept


@dataclass(frozen=True, slots=True)
class Rows:
    """The readings of a block and the records they stand in.

    An entry a reading: `codes` (its series among `texts`), `reasons` (codes of REASONS, 0 for a good reading), `ts_us`,
    `values`, and `record_of`: the index of its record, ascending. Without `record_of` reading n is all of record n.
    An entry a record: `starts` and `ends`, bytes of the block, and `lines`, counted from 0. A record may have no reading.
    `malformed` are lines that are not even records. `headers` enters into `reasons` and `malformed` which of them are headers.
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
    record_of: Codes | None = None

    def before(self, end: int) -> Rows:
        """What of it begins before an offset of the block."""
        count = int(np.searchsorted(self.starts, end))
        picked = self._picked(slice(0, count))
        return replace(
            self,
            codes=self.codes[picked],
            reasons=self.reasons[picked],
            ts_us=self.ts_us[picked],
            values=self.values[picked],
            starts=self.starts[:count],
            ends=self.ends[:count],
            lines=self.lines[:count],
            malformed=[row for row in self.malformed if row.start < end],
            record_of=None if self.record_of is None else self.record_of[picked],
        )

    def without(self, reason: int) -> Rows:
        """What of it has another reason than this one; each record must have such a reading."""
        keep = self.reasons != reason
        record_of = self.record_of[keep] if self.record_of is not None else None
        codes, reasons = self.codes[keep], self.reasons[keep]
        ts_us, values = self.ts_us[keep], self.values[keep]
        return replace(self, codes=codes, reasons=reasons, ts_us=ts_us, values=values, record_of=record_of)

    def readings(self, offset: int, line: int, records: slice = slice(None)) -> Readings:
        """What a batch of some of the records holds; `offset` and `line` (from 1) are where the block begins in its source.

        What of a record cannot be read makes one row of the quarantine, with the reason of its first bad reading.
        """
        picked = self._picked(records)
        reasons = self.reasons[picked]
        good = reasons == 0
        # Hashed rather than sorted: half the time.
        encoded = pa.array(self.codes[picked][good]).dictionary_encode()
        bad = np.flatnonzero((reasons > 0) & (reasons != BLANK) & (reasons != HEADER)) + (picked.start or 0)
        headers = self._records_of(np.flatnonzero(reasons == HEADER) + (picked.start or 0))
        return Readings(
            series=[self.texts[n] for n in encoded.dictionary.to_pylist()],
            codes=encoded.indices.to_numpy().astype(np.int64),
            ts_us=self.ts_us[picked][good],
            values=self.values[picked][good],
            blank=int((reasons == BLANK).sum()),
            quarantined=self._quarantined(offset, line, bad),
            records=len(self.starts[records]) - headers + len(self.malformed),
        )

    def _records_of(self, readings: Codes) -> int:
        """How many records some readings stand in."""
        return len(readings if self.record_of is None else np.unique(self.record_of[readings]))

    def _picked(self, records: slice) -> slice:
        """The readings of some consecutive records."""
        if self.record_of is None:
            return records
        first, last, _ = records.indices(len(self.starts))
        return slice(*np.searchsorted(self.record_of, (first, last)).tolist())

    def _quarantined(self, offset: int, line: int, bad: Codes) -> list[QuarantinedRow]:
        """The rows to quarantine, in the order of the source. `bad` are indices of readings."""
        records = bad
        if self.record_of is not None:
            records, first = np.unique(self.record_of[bad], return_index=True)
            bad = bad[first]
        rows = [
            QuarantinedRow(offset + row.start, line + row.line, row.reason, kept(self.block[row.start : row.end]))
            for row in self.malformed
        ]
        for record, reason in zip(records.tolist(), self.reasons[bad].tolist(), strict=True):
            start, end = int(self.starts[record]), int(self.ends[record])
            place = offset + start, line + int(self.lines[record])
            rows.append(QuarantinedRow(*place, REASONS[reason], kept(self.block[start:end])))
        return sorted(rows, key=lambda row: row.offset)
