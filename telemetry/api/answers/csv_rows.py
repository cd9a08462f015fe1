"""Answers whose columns are arrays, as CSV: byte for byte what Postgres writes of the same rows."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np
import orjson

from telemetry.api.answers.exports import FORMULA
from telemetry.readings.arrays import Float64s
from telemetry.store.read.sealed.columns import Coded, Column, Columns, Partial, Times, length

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
# Between these Postgres writes no exponent, and orjson neither.
PLAIN_FROM, PLAIN_TO = 1e-4, 1e15
BEGINS_FORMULA, QUOTED = re.compile(FORMULA), re.compile('[",\n\r]')


def written(pieces: Iterable[Columns], names: Sequence[str], *, neutral: bool) -> Generator[bytes]:
    """A header with these names, and a line for each row. `neutral` texts are none that a spreadsheet takes for formulas."""
    yield b",".join(_text(name) for name in names) + b"\n"
    for columns in pieces:
        template, varying = list[bytes](), list[list[bytes]]()
        for name in names:
            texts = _texts(columns[name], neutral=neutral)
            # What is the same in all rows is written once.
            template.append(texts.replace(b"%", b"%%") if isinstance(texts, bytes) else b"%b")
            if not isinstance(texts, bytes):
                varying.append(texts)
        line = b",".join(template) + b"\n"
        yield b"".join([line % row for row in zip(*varying, strict=True)]) if varying else line % () * length(columns)


def _texts(column: Column, *, neutral: bool) -> list[bytes] | bytes:
    """The fields of a column, or the one that it has in all rows."""
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
    return numbers(column) if column.dtype.kind == "f" else _split(_plain(column))


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
    # As Python writes it, but that its exponents begin with 16 digits.
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        digits, exponent = f"{value:.{sum(map(str.isdigit, digits.removesuffix('.0').rstrip('0'))) - 1}e}".split("e")
    return f"{digits.removesuffix('.0')}e{exponent}".encode()


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
