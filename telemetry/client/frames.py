"""Arrow tables of readings, and what makes frames of them. This module alone needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# Columns with few different values, which frames keep as categories.
CATEGORIES = ("gpu", "host", "metric", "model", "unit")

TEXT = pa.dictionary(pa.int32(), pa.string())
READINGS = pa.schema(
    [("timestamp", pa.timestamp("us", "UTC")), ("gpu", TEXT), ("metric", TEXT), ("value", pa.float64())],
)


def read(stream: bytes) -> pa.Table:
    """The table of an Arrow stream."""
    return pa.ipc.open_stream(stream).read_all()


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """Tables one after another; a column that one of them lacks is null there. Without any: a table without rows."""
    return pa.concat_tables([READINGS.empty_table(), *tables], promote_options="default").unify_dictionaries()


def named(table: pa.Table, metric: str) -> pa.Table:
    """A table of one metric, with a column that says which."""
    return table.append_column("metric", pa.repeat(metric, table.num_rows))


def where(table: pa.Table, name: str, value: str) -> pa.Table:
    """The rows that have a value in a column; none if there is no such column."""
    return table.filter(pc.equal(table[name], value)) if name in table.column_names else table.slice(0, 0)


def expanded(table: pa.Table) -> pa.Table:
    """A table whose labels, JSON as the API sends them, are columns; names and labels are categories.

    A label that has the name of another column becomes `label_…`. Without a column `labels` only the categories change.
    """
    if "labels" in table.column_names:
        position = table.column_names.index("labels")
        labels = table["labels"].combine_chunks().dictionary_encode()
        table = table.remove_column(position)
        parsed = [json.loads(text) for text in labels.dictionary.to_pylist()]
        for name in sorted({name for one in parsed for name in one}):
            values = pa.array([one.get(name) for one in parsed], pa.string()).take(labels.indices)
            free = name if name not in table.column_names else f"label_{name}"
            table = table.append_column(free, values.dictionary_encode())
    for name in CATEGORIES:
        if name in table.column_names and not pa.types.is_dictionary(table.schema.field(name).type):
            table = table.set_column(table.column_names.index(name), name, table[name].combine_chunks().dictionary_encode())
    return table


def wide(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """A row for each time, a column for each combination of `keys`, named by their values with a blank between.

    Raises ValueError if one combination has two values at one time.
    """
    columns: dict[str, dict[Any, float | None]] = {}
    parts = [table[key].cast(pa.string()).to_pylist() for key in keys]
    for time, value, *names in zip(table["timestamp"].to_pylist(), table["value"].to_pylist(), *parts, strict=True):
        column = columns.setdefault(" ".join(names), {})
        if time in column:
            raise ValueError(f"{' '.join(names)} has several series with a reading at {time}; give a step, or wide=False")
        column[time] = value
    times = pc.unique(table["timestamp"]).sort()
    moments = times.to_pylist()
    values = {name: pa.array([column.get(moment) for moment in moments], pa.float64()) for name, column in columns.items()}
    return pa.table({"timestamp": times, **dict(sorted(values.items()))})
