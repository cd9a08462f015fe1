"""Rows of sealed days by how many samples they have: which to take at once, so that no more than so many are in memory.

A row is a series and day, of up to some million samples. One that is too large is taken in parts, which Postgres cuts out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import psycopg

from telemetry.store import sealed_rows
from telemetry.store.sealed_rows import EPOCH_US, SealedRow

# Samples that are in memory at once. Until they are an answer, each takes up to 200 bytes.
MOST = 1 << 17
# Sizes that are read at once.
SIZES_ROWS = 4096
SIZES = """
    SELECT series_id, day, n, times_id FROM sealed
    WHERE series_id = ANY(%s::bigint[]) AND day >= %s AND day < %s ORDER BY series_id, day
"""
ROWS = """
    SELECT s.series_id, s.day, s.times_id, s.divisor, s.low[k.first:k.last], s.middle[k.first:k.last], s.high[k.first:k.last],
           s.floats[k.first:k.last]
    FROM sealed s JOIN unnest(%s::bigint[], %s::date[], %s::int[], %s::int[]) AS k (series_id, day, first, last)
        USING (series_id, day)
    WHERE day >= %s AND day <= %s
"""
TIMES = """
    SELECT t.day, t.id, k.first, k.last, t.times[k.first:k.last] FROM sealed_times t
    JOIN (SELECT DISTINCT day, id, first, last FROM unnest(%s::date[], %s::bigint[], %s::int[], %s::int[])
          AS k (day, id, first, last)) AS k USING (day, id)
    WHERE day >= %s AND day <= %s
"""


class Size(NamedTuple):
    """How many samples a series has on a sealed day, and the number of its times."""

    series: int
    day: date
    n: int
    times_id: int


class Part(NamedTuple):
    """A part of a row: its samples from the first to the last, counted from 1; at least one."""

    of: Size
    first: int
    last: int


def sizes(connection: psycopg.Connection, series: Sequence[int], first: date, end: date) -> list[Size]:
    """The rows of some series on the days [first, end), in order."""
    return [Size(*row) for row in connection.execute(SIZES.encode(), (series, first, end))]


def batches(rows: Iterable[Size], most: int = MOST) -> Iterator[list[Part]]:
    """The samples of rows in the same order, at most so many at once; a row of more in parts, each of them alone."""
    batch, left = list[Part](), most
    for row in rows:
        if row.n > left and batch:
            yield batch
            batch, left = [], most
        if row.n > most:
            yield from ([Part(row, first, min(row.n, first + most - 1))] for first in range(1, row.n + 1, most))
        elif row.n:
            batch.append(Part(row, 1, row.n))
            left -= row.n
    if batch:
        yield batch


def fetch(connection: psycopg.Connection, parts: Sequence[Part]) -> list[SealedRow]:
    """Parts, of each row at most one, in order of series and day. Two statements read them, as in `sealed_rows`."""
    series, days = [part.of.series for part in parts], [part.of.day for part in parts]
    if all(part.first == 1 and part.last == part.of.n for part in parts):
        rows = sealed_rows.fetch(connection, series, days)
    else:
        rows = _cut(connection, parts, series, days)
    return sorted(rows, key=lambda row: (row.series, row.day))


def _cut(connection: psycopg.Connection, parts: Sequence[Part], series: list[int], days: list[date]) -> list[SealedRow]:
    of = {(part.of.series, part.of.day): (part.first, part.last) for part in parts}
    more = [part.first for part in parts], [part.last for part in parts], min(days), max(days)
    with sealed_rows.arrays_cursor(connection) as cursor:
        cursor.execute(TIMES.encode(), (days, [part.of.times_id for part in parts], *more))
        times = {(day, number, *ends): at.astype(np.int64) + EPOCH_US for day, number, *ends, at in cursor}
        rows = cursor.execute(ROWS.encode(), (series, days, *more)).fetchall()
    return [
        SealedRow(
            *(number, day, times_id, times[day, times_id, *of[number, day]]),
            sealed_rows.values_of(arrays, divisor),
        )
        for number, day, times_id, divisor, *arrays in rows
    ]
