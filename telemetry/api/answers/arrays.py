"""Answers whose columns are arrays, as JSON objects and as batches of Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from telemetry.api.answers.exports import TEXTS
from telemetry.store.read.sealed.columns import Coded, Column, Columns, Times, values


def documents(columns: Columns, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows as JSON objects with these names. Columns of `exports.TEXTS` must hold the text of JSON; it is put in as it is."""
    lists = [_fragments(columns[name]) if name in TEXTS else values(columns[name]) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]


def batches(pieces: Iterable[Columns], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Batches of the columns of a schema."""
    for columns in pieces:
        yield pa.record_batch([_array(columns[field.name], field.type) for field in schema], schema=schema)


def _fragments(column: Column) -> list[Any]:
    assert isinstance(column, Coded), "texts of JSON are few, for many rows"  # noqa: S101
    return values(Coded(column.codes, [orjson.Fragment(name) for name in column.names]))


def _array(column: Column, kind: pa.DataType) -> pa.Array:
    if isinstance(column, Coded):
        return pa.array(column.names, kind).take(pa.array(column.codes))
    numbers = column.us if isinstance(column, Times) else column
    return pa.array(np.ascontiguousarray(numbers)).cast(kind)
