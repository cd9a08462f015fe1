"""Prometheus' remote read on the wire: requests and answers in protocol buffers, compressed by snappy.

Written here and not by Google's library, as a message object for each sample takes 1.5 s a million, and NumPy 50 ms. What is
read and written is what remote.proto and types.proto (github.com/prometheus/prometheus, folder prompb) say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from telemetry.readings.arrays import Float64s, Int64s
from telemetry.readings.matchers import Matcher, Operator
from telemetry.store.read.history.exposed import Labels, Points

# The types of fields on the wire, and how long those of a fixed length are.
VARINT, BYTES = 0, 2
FIXED = {1: 8, 5: 4}
# The longest number: 64 bits, 7 in each byte.
VARINT_BYTES = 10
OPERATORS: tuple[Operator, ...] = ("=", "!=", "=~", "!~")
# Numbers of which on a varint is a byte longer.
LONGER = np.array([1 << bits for bits in range(7, 64, 7)], np.uint64)


class WireError(ValueError):
    """Bytes that are no such message."""


class ReadQuery(NamedTuple):
    """One selector, and the times that are read: milliseconds, both included. `function`: what the samples are for."""

    start_ms: int
    end_ms: int
    matchers: list[Matcher]
    function: str


def read(body: bytes, most_bytes: int) -> list[ReadQuery]:
    """The queries of a request. Raises WireError, also for one that is longer than `most_bytes` once it is unpacked."""
    length, start = _varint(body, 0)
    if length > most_bytes or start > len(body):
        raise WireError(f"the request is longer than {most_bytes} bytes once it is unpacked")
    try:
        message = pa.Codec("snappy").decompress(body, length, asbytes=True)
    except (pa.ArrowException, OSError, ValueError):
        raise WireError("the request is not compressed by snappy, as Content-Encoding: snappy says") from None
    return [_query(_text(value)) for number, value in _fields(message) if number == 1]


def written(results: Iterable[dict[Labels, Points]]) -> bytes:
    """The answer to a request: the samples of each query, compressed. The results are empty then, as they are large."""
    pieces = list[bytes]()
    for result in results:
        encoded = list[bytes]()
        for labels in list(result):
            encoded += _parts(1, _series(labels, result.pop(labels)))
        pieces += _parts(1, encoded)
    message = b"".join(pieces)
    pieces.clear()
    compressed: bytes = pa.Codec("snappy").compress(message, asbytes=True)
    return compressed


def _query(message: bytes) -> ReadQuery:
    start_ms = end_ms = 0
    matchers, function = list[Matcher](), ""
    for number, value in _fields(message):
        match number:
            case 1:
                start_ms = _signed(value)
            case 2:
                end_ms = _signed(value)
            case 3:
                matchers.append(_matcher(_text(value)))
            case 4:
                function = next((_utf8(hint) for field, hint in _fields(_text(value)) if field == 2), "")  # noqa: PLR2004
    return ReadQuery(start_ms, end_ms, matchers, function)


def _matcher(message: bytes) -> Matcher:
    fields = dict(_fields(message))
    kind = _signed(fields.get(1, 0))
    if not 0 <= kind < len(OPERATORS):
        raise WireError(f"{kind} is no type of matcher")
    return Matcher(_utf8(fields.get(2, b"")), OPERATORS[kind], _utf8(fields.get(3, b"")))


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field; those of a fixed length are passed over, as no message here has one."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind != BYTES and kind not in FIXED:
            raise WireError(f"field {number} has the unknown type {kind}")
        length, place = _varint(message, place) if kind == BYTES else (FIXED[kind], place)
        if place + length > len(message):
            raise WireError(f"field {number} is cut off")
        if kind == BYTES:
            yield number, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for shift, byte in enumerate(message[place : place + VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:  # noqa: PLR2004
            return value, place + shift + 1
    raise WireError("a number is cut off")


def _signed(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise WireError("a number was expected")
    return value - (1 << 64) if value >> 63 else value


def _text(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise WireError("a text or a message was expected")
    return value


def _utf8(value: int | bytes) -> str:
    try:
        return _text(value).decode()
    except UnicodeDecodeError:
        raise WireError("a text is not UTF-8") from None


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _field(number: int, value: bytes) -> bytes:
    return _number(number << 3 | BYTES) + _number(len(value)) + value


def _parts(number: int, value: list[bytes]) -> list[bytes]:
    """A field whose value is in pieces, in pieces: to join them at each level would have them in memory as often."""
    return [_number(number << 3 | BYTES) + _number(sum(map(len, value))), *value]


def _series(labels: Labels, points: Points) -> list[bytes]:
    named = [_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in labels]
    return [*named, *_samples(*points)]


def _samples(ts_ms: Int64s, values: Float64s) -> list[bytes]:
    """Samples as fields 2 of a series, of which those with times of one length are written at once."""
    times = ts_ms.astype(np.uint64)
    lengths = np.searchsorted(LONGER, times, "right") + 1
    bounds = [0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(times)] if len(times) else []
    pieces = []
    for start, end in pairwise(bounds):
        size = int(lengths[start])
        # Of each sample: field 2 and its length; field 1, a double; field 2, a varint.
        row = np.empty((end - start, 12 + size), np.uint8)
        row[:, 0], row[:, 1], row[:, 2], row[:, 11] = 0x12, 10 + size, 0x09, 0x10
        row[:, 3:11] = values[start:end].astype("<f8").view(np.uint8).reshape(-1, 8)
        for place in range(size):
            more = 0x80 if place < size - 1 else 0
            row[:, 12 + place] = (times[start:end] >> np.uint64(7 * place)) & np.uint64(0x7F) | np.uint64(more)
        pieces.append(row.tobytes())
    return pieces
