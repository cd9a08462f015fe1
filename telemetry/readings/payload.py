"""The payload of a message: the readings of a batch and its rows for the quarantine, compressed.

It is zstd of a msgpack array, `Columns`. What repeats or grows evenly is written so that zstd sees it: texts stand below each
other, a line each, and of numbers stand the differences. Nothing in it is a list, so a stranger's bytes take no more memory
than they have. Whether digest, size and counts agree with the header is left to `wire`; payloads of the versions before are
read by `arrow_payload`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from telemetry.readings.rows import QuarantinedRow, Readings

MAX_ROWS = 200_000
# No text of a series (JSON), and no reason, has a line end.
BETWEEN = "\n"


class Columns(msgspec.Struct, frozen=True, array_like=True):
    """Numbers are little-endian.

    Of the readings: `series`, texts of `SeriesKey`; `codes`, which of them each is of (int32, differences); `ts`, microseconds
    since 1970 (int64, differences); `values` (float64). Of the rows to quarantine: `offsets`, `lines` and `lengths` of what is
    kept of them (int64), `reasons`, and `raw`, what is kept.
    """

    series: str
    codes: bytes
    ts: bytes
    values: bytes
    offsets: bytes
    lines: bytes
    lengths: bytes
    reasons: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Packed(Readings):
    """Readings of which only the payload is left, with the counts and the rows to quarantine; `size` as `pack` has it.

    `values_read` counts the readings with a value.
    """

    payload: bytes
    size: int
    values_read: int

    @classmethod
    def of(cls, readings: Readings) -> Packed:
        """Readings, packed."""
        payload, size = pack(readings)
        bare = Readings.of_quarantined(readings.quarantined)
        about = (readings.blank, readings.quarantined, readings.records)
        return cls(bare.series, bare.codes, bare.ts_us, bare.values, *about, payload, size, len(readings.codes))

    @property
    def rows(self) -> int:
        """Readings of every class."""
        return self.values_read + self.blank + len(self.quarantined)


ENCODER = msgspec.msgpack.Encoder()
DECODER = msgspec.msgpack.Decoder(Columns)


def pack(readings: Readings) -> tuple[bytes, int]:
    """The payload of some readings, and how many bytes it has before compression."""
    if isinstance(readings, Packed):
        return readings.payload, readings.size
    rows, series = readings.quarantined, BETWEEN.join(readings.series)
    if series.count(BETWEEN) != max(0, len(readings.series) - 1):
        raise ValueError("the text of a series has a line end")
    columns = Columns(
        series=series,
        codes=np.diff(readings.codes, prepend=0).astype("<i4").tobytes(),
        ts=np.diff(readings.ts_us, prepend=0).astype("<i8").tobytes(),
        values=readings.values.astype("<f8").tobytes(),
        offsets=_numbers([row.offset for row in rows]),
        lines=_numbers([row.line for row in rows]),
        lengths=_numbers([len(row.raw) for row in rows]),
        reasons=BETWEEN.join(row.reason for row in rows),
        raw=b"".join(row.raw for row in rows),
    )
    raw = ENCODER.encode(columns)
    return pa.compress(raw, "zstd", asbytes=True), len(raw)


def unpack(payload: bytes, size: int, *, blank: int, records: int) -> Readings:
    """The readings in a payload that has `size` bytes before compression; what only the header knows is given.

    Raises ValueError, OSError or ArrowException for anything that `pack` did not make, MemoryError for want of memory.
    """
    columns = DECODER.decode(pa.decompress(payload, size, "zstd"))
    values = np.frombuffer(columns.values, "<f8")
    codes, ts_us = (_summed(raw, kind, len(values)) for raw, kind in ((columns.codes, "<i4"), (columns.ts, "<i8")))
    series = _texts(columns.series) if len(values) else []
    if len(values) and not 0 <= codes.min() <= codes.max() < len(series):
        raise ValueError("it has readings of no series")
    return Readings(series, codes, ts_us, values, blank, _quarantined(columns), records)


def _quarantined(columns: Columns) -> list[QuarantinedRow]:
    offsets = np.frombuffer(columns.offsets, "<i8")
    if not len(offsets):
        return []
    lines, lengths = (np.frombuffer(raw, "<i8") for raw in (columns.lines, columns.lengths))
    reasons = _texts(columns.reasons)
    if not len(offsets) == len(lines) == len(lengths) == len(reasons) or lengths.min() < 0:
        raise ValueError("its rows for the quarantine are not whole")
    ends = np.cumsum(lengths)
    if ends[-1] != len(columns.raw) or ends.max() != ends[-1]:
        raise ValueError("its rows for the quarantine have another length")
    each = zip(offsets.tolist(), lines.tolist(), reasons, (ends - lengths).tolist(), ends.tolist(), strict=True)
    return [QuarantinedRow(offset, line, reason, columns.raw[start:end]) for offset, line, reason, start, end in each]


def _numbers(values: Sequence[int]) -> bytes:
    return np.array(values, "<i8").tobytes()


def _summed(raw: bytes, kind: str, number: int) -> NDArray[np.int64]:
    """So many numbers of their differences."""
    differences = np.frombuffer(raw, kind)
    if len(differences) != number or number > MAX_ROWS:
        raise ValueError(f"it has {len(differences)} readings in one column and {number} in another, of {MAX_ROWS} at most")
    return np.cumsum(differences, dtype=np.int64)


def _texts(joined: str) -> list[str]:
    if joined.count(BETWEEN) >= MAX_ROWS:
        raise ValueError(f"it has more than {MAX_ROWS} texts")
    return joined.split(BETWEEN)
