"""An answer as columns of equal length, by their names: times in microseconds from 1970, numbers, and names by their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from telemetry.readings.arrays import Bools, Float64s, Int64s
from telemetry.store.sealed_rows import time_of


class Coded(NamedTuple):
    """A column of few different values: the place in `names` of each. Null is None."""

    codes: Int64s
    names: list[Any]


class Times(NamedTuple):
    """A column of times, in microseconds from 1970."""

    us: Int64s


class Partial(NamedTuple):
    """A column of numbers, some of which are null: `known` says which are not."""

    numbers: Float64s
    known: Bools

    def taken(self, places: Int64s | Bools | slice) -> Partial:
        """Some of them."""
        return Partial(self.numbers[places], self.known[places])


Column = Coded | Times | Partial | Float64s | Int64s
Columns = Mapping[str, Column]


def length(columns: Columns) -> int:
    """How many rows there are."""
    column = next(iter(columns.values()))
    return len(column[0] if isinstance(column, tuple) else column)


def taken(columns: Columns, places: Int64s | slice) -> Columns:
    """Some of the rows, in that order."""
    return {name: _taken(column, places) for name, column in columns.items()}


def values(column: Column) -> list[Any]:
    """A column as Python's values."""
    if isinstance(column, Times):
        return [time_of(at) for at in column.us.tolist()]
    if isinstance(column, Coded):
        return [column.names[code] for code in column.codes.tolist()]
    if isinstance(column, Partial):
        return [number if known else None for number, known in zip(*(part.tolist() for part in column), strict=True)]
    numbers: list[Any] = column.tolist()
    return numbers


def page(pieces: Iterable[Columns], offset: int, rows: int | None) -> Iterator[Columns]:
    """The rows after `offset` others, at most so many (None: all). No more pieces are asked for than needed."""
    left = rows
    for piece in pieces:
        size = length(piece)
        some = taken(piece, slice(offset, None if left is None else offset + left))
        offset = max(0, offset - size)
        if left is not None:
            left -= length(some)
        if length(some):
            yield some
        if left == 0:
            return


def _taken(column: Column, places: Int64s | slice) -> Column:
    if isinstance(column, Times):
        return Times(np.ascontiguousarray(column.us[places]))
    if isinstance(column, Coded):
        return Coded(column.codes[places], column.names)
    if isinstance(column, Partial):
        return column.taken(places)
    return column[places]
