"""Answers whose columns are arrays, as rows of JSON and as batches of Arrow."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence

import numpy as np
import orjson
import pyarrow as pa

from telemetry.api.answers.exports import TEXTS
from telemetry.api.answers.woven import Fields, Woven, woven
from telemetry.store.read.sealed.columns import Coded, Column, Columns, Partial, Times, length

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


def objects(columns: Columns, names: Sequence[str]) -> Woven:
    """Rows as JSON objects with these names. Columns of `exports.TEXTS` must hold such texts, which are put in."""
    fields = [_fields(columns[name], is_text=name in TEXTS) for name in names]
    texts = [(b"," if place else b"{") + orjson.dumps(name) + b":" for place, name in enumerate(names)]
    return woven([*texts, b"}"], fields, length(columns))


def ndjson(pieces: Iterable[Columns], names: Sequence[str]) -> Generator[bytes]:
    """The same, a line each."""
    for columns in pieces:
        yield objects(columns, names).text(b"\n") + b"\n"


def batches(pieces: Iterable[Columns], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Batches of the columns of a schema."""
    for columns in pieces:
        yield pa.record_batch([_array(columns[field.name], field.type) for field in schema], schema=schema)


def _fields(column: Column, *, is_text: bool) -> Fields:
    """The values of a column in JSON."""
    if isinstance(column, Coded):
        texts: list[bytes] = [name.encode() if is_text else orjson.dumps(name) for name in column.names]
        codes = column.codes
        if len(codes) and (codes == codes[0]).all():
            return texts[int(codes[0])]
        return [texts[code] for code in codes.tolist()]
    if isinstance(column, Partial):
        # JSON has no NaN: it is null too.
        column = np.where(column.known, column.numbers, np.nan)
    numbers = column.us.view("M8[us]") if isinstance(column, Times) else np.ascontiguousarray(column)
    # No number and no time has a comma.
    written = bytes(orjson.dumps(numbers, option=OPTIONS))
    return written[1:-1].split(b",") if len(numbers) else []


def _array(column: Column, kind: pa.DataType) -> pa.Array:
    if isinstance(column, Coded):
        return pa.array(column.names, kind).take(pa.array(column.codes))
    if isinstance(column, Partial):
        return pa.array(column.numbers, mask=~column.known).cast(kind)
    numbers = column.us if isinstance(column, Times) else column
    return pa.array(np.ascontiguousarray(numbers)).cast(kind)
