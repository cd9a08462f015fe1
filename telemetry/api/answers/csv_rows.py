"""Answers whose columns are arrays, as CSV: byte for byte what Postgres writes of the same rows."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

import numpy as np
import orjson

from telemetry.api.answers.exports import FORMULA
from telemetry.api.answers.woven import Fields, woven
from telemetry.readings.arrays import Float64s
from telemetry.store.read.sealed.columns import Coded, Column, Columns, Partial, Times, length

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
# Between these Postgres writes no exponent, and orjson neither.
PLAIN_FROM, PLAIN_TO = 1e-4, 1e15
# From here on all numbers are whole.
WHOLE_FROM = 2.0**53
BEGINS_FORMULA, QUOTED = re.compile(FORMULA), re.compile('[",\n\r]')


def written(pieces: Iterable[Columns], names: Sequence[str], *, neutral: bool) -> Generator[bytes]:
    """A header with these names, and a line for each row. `neutral` texts are none that a spreadsheet takes for formulas."""
    yield b",".join(_text(name) for name in names) + b"\n"
    texts = [b"", *[b","] * (len(names) - 1), b"\n"]
    for columns in pieces:
        yield woven(texts, [_fields(columns[name], neutral=neutral) for name in names], length(columns)).text()


def _fields(column: Column, *, neutral: bool) -> Fields:
    if isinstance(column, Coded):
        texts = [_text(name, neutral=neutral) for name in column.names]
        codes = column.codes
        if len(codes) and (codes == codes[0]).all():
            return texts[int(codes[0])]
        return [texts[code] for code in codes.tolist()]
    if isinstance(column, Partial):
        fields = numbers(column.numbers)
        return [field if known else b"" for field, known in zip(fields, column.known.tolist(), strict=True)]
    if isinstance(column, Times):
        return _split(_plain(column.us.view("M8[us]")).replace(b'"', b""))
    return numbers(cast("Float64s", column)) if column.dtype.kind == "f" else _split(_plain(column))


def numbers(values: Float64s) -> list[bytes]:
    """Numbers as Postgres writes them."""
    size = np.abs(values)
    odd = np.flatnonzero(~((size >= PLAIN_FROM) & (size < PLAIN_TO) | (values == 0)))
    # A number that is whole ends in .0 in JSON. Those that JSON cannot write are null there, and are odd.
    fields = _split((_plain(values) + b",").replace(b".0,", b",")[:-1])
    for place in odd.tolist():
        fields[place] = odd_number(float(values[place]))
    return fields


def odd_number(value: float) -> bytes:
    """A number that has an exponent, or is none."""
    if math.isnan(value):
        return b"NaN"
    if math.isinf(value):
        return b"Infinity" if value > 0 else b"-Infinity"
    text = repr(value)
    if abs(value) >= WHOLE_FROM and any(2 * int(Decimal(text)) == int(value) + int(other) for other in _neighbours(value)):
        # Postgres takes no digits that are as near to another number.
        text = f"{value:.16e}"
    digits, _, exponent = text.partition("e")
    digits = digits.removesuffix(".0")
    if not exponent:
        # In Python an exponent begins with 16 digits.
        digits, exponent = f"{value:.{len(digits.lstrip('-').rstrip('0')) - 1}e}".split("e")
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits}e{exponent}".encode()


def _neighbours(value: float) -> tuple[float, ...]:
    return tuple(other for end in (-math.inf, math.inf) if math.isfinite(other := math.nextafter(value, end)))


def _plain(array: Any) -> bytes:
    # No number and no time has a comma.
    return bytes(orjson.dumps(np.ascontiguousarray(array), option=OPTIONS))[1:-1]


def _split(fields: bytes) -> list[bytes]:
    return fields.split(b",") if fields else []


def _text(value: Any, *, neutral: bool = False) -> bytes:
    """A name as a field. An empty text is not null."""
    if value is None:
        return b""
    text = str(value)
    if neutral and isinstance(value, str) and BEGINS_FORMULA.search(text):
        text = f"'{text}"
    return ('"' + text.replace('"', '""') + '"' if not text or QUOTED.search(text) else text).encode()
