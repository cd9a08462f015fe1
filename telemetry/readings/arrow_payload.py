"""Reads the payload of messages of versions 1 and 2, which edges of before send, and dead letters hold: Arrow, compressed.

It is zstd of an Arrow IPC stream with the readings (`series`: dictionary of `SeriesKey` texts, `ts`: timestamp[us, UTC],
`value`: float64). If there are rows to quarantine a second stream with them follows (`offset`, `line`, `reason`, `raw`).

Whether digest, size and counts agree with the header is left to `wire`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from telemetry.readings.rows import QuarantinedRow, Readings

READINGS = pa.schema(
    [
        pa.field("series", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("ts", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)
QUARANTINE = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("raw", pa.binary(), nullable=False),
    ]
)


def unpack(payload: bytes, size: int, *, blank: int, records: int) -> Readings:
    """The readings in a payload that has `size` bytes before compression; what only the header knows is given.

    Raises ValueError, OSError or ArrowException for anything that is none, MemoryError for want of memory.
    """
    raw = pa.decompress(payload, size, "zstd")
    reader = pa.BufferReader(raw)
    table = _read(reader, READINGS)
    rows = _read(reader, QUARANTINE).to_pylist() if reader.tell() < len(raw) else []
    quarantined = [QuarantinedRow(**row) for row in rows]
    if not table.num_rows:
        none = np.empty(0, np.int64)
        return Readings([], none, none, np.empty(0, np.float64), blank, quarantined, records)
    encoded, ts, values = (column.chunk(0) for column in table.columns)
    return Readings(
        series=encoded.dictionary.to_pylist(),
        codes=encoded.indices.to_numpy().astype(np.int64),
        ts_us=ts.view(pa.int64()).to_numpy(),
        values=values.to_numpy(),
        blank=blank,
        quarantined=quarantined,
        records=records,
    )


def _read(reader: pa.BufferReader, schema: pa.Schema) -> pa.Table:
    with ipc.open_stream(reader) as stream:
        if not stream.schema.equals(schema):
            raise ValueError("it has other columns than its version says")
        table = stream.read_all().unify_dictionaries().combine_chunks()
    # Bytes of a stranger: offsets, indices and text are checked before anything looks at them.
    table.validate(full=True)
    if any(column.null_count for column in table.columns):
        raise ValueError("it holds nulls")
    return table
