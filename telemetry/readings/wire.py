"""The message between edge and centre: a header (a plain mapping) and a payload (bytes).

Header, version 3:

| key | type | meaning |
| --- | --- | --- |
| `version` | int | of this table; collectors accept the current and those before |
| `edge`, `batch_id` | str | the ledger's key |
| `source` | map | `id`, `path`, `fingerprint`, `format`, `anchor` (microseconds of the replay pass, or nil) |
| `start`, `end` | int | bytes of the source, end exclusive |
| `first_line` | int | line of `start` in the source, from 1 |
| `rows` | map | `read`: readings of every class; of them `blank` and `quarantined`; `records`: the records they stand in |
| `read_at`, `published_at` | int | microseconds on the broker's clock: when read, when first published |
| `size` | int | bytes of the payload before compression |
| `digest` | str | of the compressed payload |
| `signature` | str | who signed the rest of the header (`telemetry.trust.signatures`); nil where nobody did |

Version 1 has no `rows.records`: each of its records is one reading. `check_header` adds what is missing, so that all others
see the mapping of this table. A batch of no bytes (`start` = `end`) is a probe: it is acknowledged and otherwise ignored.

What the payload holds is said in `payload`, of versions 1 and 2 in `arrow_payload`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from msgspec import Meta, Struct

from telemetry.readings import arrow_payload
from telemetry.readings import payload as packed
from telemetry.readings.digests import digest
from telemetry.readings.names import MAX_EDGE, MAX_MESSAGE_BYTES
from telemetry.readings.rows import Readings

VERSION = 3
ACCEPTED = (VERSION, 2, 1)
# Since then a payload is what `payload` says.
PACKED_SINCE = 3
MAX_PAYLOAD_BYTES = 32 << 20
MAX_DECODED_BYTES = 256 << 20
# In place of a header: the length of a message that was too long to be decoded.
OVERSIZED = "oversized_bytes"
MAX_ROWS = packed.MAX_ROWS
# As Arrow says it, in an ArrowMemoryError.
ASKED = re.compile(r"size (\d+)")

# Together with a path (`digests`) they fit into an index of Postgres, which holds rows of some 2,700 bytes.
Name = Annotated[str, Meta(max_length=128)]
EdgeName = Annotated[str, Meta(max_length=MAX_EDGE)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class NewerVersionError(Exception):
    """A message of a version this process does not know yet, of an `edge`. It must wait for a newer collector."""

    edge = ""


class WireError(ValueError):
    """A message that can never be read; the text says why."""


class Source(Struct, frozen=True):
    """Where a batch comes from."""

    id: Name
    path: str
    fingerprint: Name
    format: Name
    anchor: Count | None


class RowCounts(Struct, frozen=True):
    """The header's `rows`."""

    read: Count
    blank: Count
    quarantined: Count
    records: Count


class Header(Struct, frozen=True):
    """The header; the module's table says what each key means."""

    version: Count
    edge: EdgeName
    batch_id: Name
    source: Source
    start: Count
    end: Count
    first_line: Count
    rows: RowCounts
    read_at: Count
    published_at: Count
    size: Count
    digest: str


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
    readings = batch.readings
    payload, size = packed.pack(readings)
    header = Header(
        version=VERSION,
        edge=batch.edge,
        batch_id=batch.batch_id,
        source=batch.source,
        start=batch.start,
        end=batch.end,
        first_line=batch.first_line,
        rows=RowCounts(readings.rows, readings.blank, len(readings.quarantined), readings.records),
        read_at=batch.read_at_us,
        published_at=batch.published_at_us,
        size=size,
        digest=digest(payload),
    )
    return {**msgspec.to_builtins(header), "signature": None}, payload


def check_header(header: Any) -> dict[str, Any]:
    """The header as a mapping of the current version's keys. Raises WireError or NewerVersionError."""
    mapping = current(header)
    _parsed(mapping)
    return mapping


def source_of(header: dict[str, Any]) -> Source:
    """The source in a header that was checked."""
    return msgspec.convert(header["source"], Source)


def decode(header: Any, payload: Any) -> Batch:
    """The batch of a message. Raises WireError if it can never be read, NewerVersionError if not by this process."""
    checked = _parsed(current(header))
    rows = checked.rows
    if not isinstance(payload, bytes) or len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError(f"the payload must be at most {MAX_PAYLOAD_BYTES} bytes")
    if digest(payload) != checked.digest:
        raise WireError("the payload does not match its digest")
    if not 0 < checked.size <= MAX_DECODED_BYTES:
        raise WireError(f"the payload must unpack to at most {MAX_DECODED_BYTES} bytes, the header says {checked.size}")
    try:
        unpack = packed.unpack if checked.version >= PACKED_SINCE else arrow_payload.unpack
        readings = unpack(payload, checked.size, blank=rows.blank, records=rows.records)
    except MemoryError as error:
        # The process' trouble, unless the payload asks for more than any may take.
        asked = ASKED.search(str(error))
        if asked is None or int(asked[1]) <= MAX_DECODED_BYTES:
            raise
        raise WireError(f"the payload cannot be unpacked: {error}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise WireError(f"the payload cannot be unpacked: {error}") from None
    if readings.rows != rows.read:
        raise WireError(f"the payload holds {readings.rows} rows, the header says {rows.read}")
    if max(rows.read, rows.records) > MAX_ROWS:
        raise WireError(f"a batch must be at most {MAX_ROWS} rows, this one has {rows.read} in {rows.records} records")
    return Batch(
        edge=checked.edge,
        batch_id=checked.batch_id,
        source=checked.source,
        start=checked.start,
        end=checked.end,
        first_line=checked.first_line,
        read_at_us=checked.read_at,
        published_at_us=checked.published_at,
        readings=readings,
    )


def current(header: Any) -> dict[str, Any]:
    """The mapping of an accepted version, with the keys of the current one."""
    if isinstance(header, dict) and isinstance(size := header.get(OVERSIZED), int):
        raise WireError(f"the message has {size} bytes, the limit is {MAX_MESSAGE_BYTES}")
    version = header.get("version") if isinstance(header, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise WireError("the header must be a mapping with a version")
    if version > VERSION:
        raise NewerVersionError(f"message version {version}, this collector knows up to {VERSION}")
    if version not in ACCEPTED:
        raise WireError(f"message version {version} is no longer accepted")
    rows = header.get("rows")
    if version == 1 and isinstance(rows, dict):
        return {**header, "rows": {**rows, "records": rows.get("read")}}
    mapping: dict[str, Any] = header
    return mapping


def _parsed(mapping: dict[str, Any]) -> Header:
    try:
        header = msgspec.convert(mapping, Header)
    except msgspec.ValidationError as error:
        raise WireError(f"header: {str(error).replace('$', 'header')}") from None
    except UnicodeError:
        # msgspec looks at the names of keys as UTF-8.
        raise WireError("header: the name of a key contains lone surrogates") from None
    for where, part in (("header", header), ("header.source", header.source)):
        for name, value in msgspec.structs.asdict(part).items():
            if isinstance(value, str) and not _is_storable(value):
                raise WireError(f"{where}.{name} contains NUL or lone surrogates")
    if header.start > header.end:
        raise WireError("header: start must not exceed end")
    return header


def _is_storable(text: str) -> bool:
    """Whether UTF-8 and Postgres can hold it: no NUL, no lone surrogate."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))
