"""The message between edge and centre: a header (a plain mapping) and a payload (bytes).

Header, version 1:

| key | type | meaning |
| --- | --- | --- |
| `version` | int | of this table; collectors accept the current and the one before |
| `edge`, `batch_id` | str | the ledger's key |
| `source` | map | `id`, `path`, `fingerprint`, `format`, `anchor` (microseconds of the replay pass, or nil) |
| `start`, `end` | int | bytes of the source, end exclusive |
| `first_line` | int | line of `start` in the source, from 1 |
| `rows` | map | `read`, `blank`, `quarantined` |
| `read_at`, `published_at` | int | microseconds on the broker's clock: when read, when first published |
| `size` | int | bytes of the payload before compression |
| `digest` | str | of the compressed payload |
| `signature` | nil | room for one |

A batch of no bytes (`start` = `end`) is a probe: it is acknowledged and otherwise ignored.

Payload: zstd of an Arrow IPC stream with the readings (`series`: dictionary of `SeriesKey` texts, `ts`: timestamp[us, UTC],
`value`: float64), and if there are any a second one behind it with the rows to quarantine (`offset`, `line`, `reason`, `raw`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from telemetry.readings.digests import digest
from telemetry.readings.rows import QuarantinedRow, Readings

VERSION = 1
ACCEPTED = (VERSION,)
MAX_PAYLOAD_BYTES = 32 << 20
MAX_DECODED_BYTES = 256 << 20
MAX_ROWS = 200_000
# As Arrow says it, in an ArrowMemoryError.
ASKED = re.compile(r"size (\d+)")

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
HEADER: dict[str, type | tuple[type, ...]] = {
    "version": int,
    "edge": str,
    "batch_id": str,
    "source": Mapping,
    "start": int,
    "end": int,
    "first_line": int,
    "rows": Mapping,
    "read_at": int,
    "published_at": int,
    "size": int,
    "digest": str,
}
SOURCE: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "path": str,
    "fingerprint": str,
    "format": str,
    "anchor": (int, type(None)),
}
ROWS: dict[str, type | tuple[type, ...]] = {"read": int, "blank": int, "quarantined": int}


class NewerVersionError(Exception):
    """A message of a version this process does not know yet. It must wait for a newer collector."""


class WireError(ValueError):
    """A message that can never be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a batch comes from."""

    id: str
    path: str
    fingerprint: str
    format: str
    anchor: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: where its bytes are, and the readings in them."""

    edge: str
    batch_id: str
    source: Source
    start: int
    end: int
    first_line: int
    read_at_us: int
    published_at_us: int
    readings: Readings


def encode(batch: Batch) -> tuple[dict[str, Any], bytes]:
    """The header and payload of a batch."""
    raw = _streams(batch.readings)
    payload = pa.compress(raw, "zstd", asbytes=True)
    source = batch.source
    header = {
        "version": VERSION,
        "edge": batch.edge,
        "batch_id": batch.batch_id,
        "source": {
            "id": source.id,
            "path": source.path,
            "fingerprint": source.fingerprint,
            "format": source.format,
            "anchor": source.anchor,
        },
        "start": batch.start,
        "end": batch.end,
        "first_line": batch.first_line,
        "rows": {
            "read": batch.readings.rows,
            "blank": batch.readings.blank,
            "quarantined": len(batch.readings.quarantined),
        },
        "read_at": batch.read_at_us,
        "published_at": batch.published_at_us,
        "size": len(raw),
        "digest": digest(payload),
        "signature": None,
    }
    return header, payload


def check_header(header: Any) -> dict[str, Any]:
    """The header, if it is one of an accepted version. Raises WireError or NewerVersionError."""
    if not isinstance(header, dict) or not isinstance(header.get("version"), int):
        raise WireError("the header is no mapping with a version")
    if header["version"] > VERSION:
        raise NewerVersionError(f"message version {header['version']}, this collector knows up to {VERSION}")
    if header["version"] not in ACCEPTED:
        raise WireError(f"message version {header['version']} is no longer accepted")
    _check(header, HEADER, "header")
    _check(header["source"], SOURCE, "header.source")
    _check(header["rows"], ROWS, "header.rows")
    if not 0 <= header["start"] <= header["end"] < 1 << 63:
        raise WireError("the header's byte range is none")
    return header


def decode(header: Any, payload: Any) -> Batch:
    """The batch of a message. Raises WireError if it can never be read, NewerVersionError if not by this process."""
    checked = check_header(header)
    if not isinstance(payload, bytes) or len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError(f"the payload is no bytes of at most {MAX_PAYLOAD_BYTES}")
    if digest(payload) != checked["digest"]:
        raise WireError("the payload does not match its digest")
    if not 0 < checked["size"] <= MAX_DECODED_BYTES:
        raise WireError(f"the payload says it unpacks to {checked['size']} bytes, the most is {MAX_DECODED_BYTES}")
    try:
        raw = pa.decompress(payload, checked["size"], "zstd")
        reader = pa.BufferReader(raw)
        table = _read(reader, READINGS)
        bad = _read(reader, QUARANTINE).to_pylist() if reader.tell() < len(raw) else []
    except MemoryError as error:
        # The process' trouble, unless the payload asks for more than any may take.
        asked = ASKED.search(str(error))
        if asked is None or int(asked[1]) <= MAX_DECODED_BYTES:
            raise
        raise WireError(f"the payload cannot be unpacked: {error}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise WireError(f"the payload cannot be unpacked: {error}") from None
    readings = _readings(table, bad, checked["rows"]["blank"])
    if readings.rows != checked["rows"]["read"] or readings.rows > MAX_ROWS:
        raise WireError(f"the payload holds {readings.rows} rows, the header says {checked['rows']['read']}")
    return Batch(
        edge=checked["edge"],
        batch_id=checked["batch_id"],
        source=Source(**{name: checked["source"][name] for name in SOURCE}),
        start=checked["start"],
        end=checked["end"],
        first_line=checked["first_line"],
        read_at_us=checked["read_at"],
        published_at_us=checked["published_at"],
        readings=readings,
    )


def _check(part: Mapping[str, Any], wanted: Mapping[str, type | tuple[type, ...]], where: str) -> None:
    for name, kind in wanted.items():
        value = part.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise WireError(f"{where}.{name} is missing or of a wrong type")
        if isinstance(value, str) and not _is_text(value):
            raise WireError(f"{where}.{name} holds what is no text")
        if isinstance(value, int) and not 0 <= value < 1 << 63:
            raise WireError(f"{where}.{name} is out of range")


def _is_text(value: str) -> bool:
    """Whether UTF-8 and Postgres can hold it: no NUL, no lone surrogate."""
    return "\0" not in value and (value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value))


def _streams(readings: Readings) -> bytes:
    series = pa.DictionaryArray.from_arrays(pa.array(readings.codes, pa.int32()), pa.array(readings.series, pa.string()))
    values = pa.record_batch(
        [series, pa.array(readings.ts_us, pa.int64()).view(READINGS.field("ts").type), pa.array(readings.values)],
        schema=READINGS,
    )
    sink = pa.BufferOutputStream()
    for part in (values, *_quarantine(readings.quarantined)):
        with ipc.new_stream(sink, part.schema) as stream:
            stream.write_batch(part)
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def _quarantine(rows: list[QuarantinedRow]) -> list[pa.RecordBatch]:
    if not rows:
        return []
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in QUARANTINE]
    return [pa.record_batch(columns, schema=QUARANTINE)]


def _read(reader: pa.BufferReader, schema: pa.Schema) -> pa.Table:
    with ipc.open_stream(reader) as stream:
        if not stream.schema.equals(schema):
            raise WireError("the payload has other columns than its version says")
        table = stream.read_all().unify_dictionaries().combine_chunks()
    # Bytes of a stranger: offsets, indices and text are checked before anything looks at them.
    table.validate(full=True)
    if any(column.null_count for column in table.columns):
        raise WireError("the payload holds nulls")
    return table


def _readings(table: pa.Table, bad: list[dict[str, Any]], blank: int) -> Readings:
    quarantined = [QuarantinedRow(**row) for row in bad]
    if not table.num_rows:
        return replace(Readings.of_quarantined(quarantined), blank=blank)
    encoded, ts, values = (column.chunk(0) for column in table.columns)
    return Readings(
        series=encoded.dictionary.to_pylist(),
        codes=encoded.indices.to_numpy().astype(np.int64),
        ts_us=ts.view(pa.int64()).to_numpy(),
        values=values.to_numpy(),
        blank=blank,
        quarantined=quarantined,
    )
