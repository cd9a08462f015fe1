"""The arrays of some sealed days, to be taken in order of time: days of few samples as a whole, a day of many in cuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import psycopg

from telemetry.readings.arrays import Int64s
from telemetry.store import sealed_rows
from telemetry.store.read.history.selection import Span
from telemetry.store.read.places import Order
from telemetry.store.read.sealed import parts
from telemetry.store.read.sealed.fetched import Bounds, Days, together
from telemetry.store.read.sealed.parts import Part, Size
from telemetry.store.read.sealed.quotas import behind, quotas, reached
from telemetry.store.sealed_rows import Samples, SealedRow

NONE = Samples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
# Where a span begins and ends in lists of times, counted from 1.
PLACES = """
    SELECT id, width_bucket(%s::timestamptz - interval '1 microsecond', times) + 1, width_bucket(%s::timestamptz, times)
    FROM sealed_times WHERE day = %s AND id = ANY (%s::bigint[])
"""


class Group(NamedTuple):
    """Sealed days and their rows: of at most so many samples together, or a single day of more."""

    days: Days
    rows: list[Size]

    @property
    def samples(self) -> int:
        """How many samples they have."""
        return sum(row.n for row in self.rows)


def grouped(days: Days, rows: Sequence[Size], most: int) -> Iterator[Group]:
    """The same days in order, in groups of at most so many samples where days have no more."""
    by_day: dict[date, list[Size]] = {}
    for row in rows:
        by_day.setdefault(row.day, []).append(row)
    begin, group, size = days.first, list[Size](), 0
    for day in sorted(by_day):
        of_day = sum(row.n for row in by_day[day])
        if group and size + of_day > most:
            yield Group(Days(begin, day), group)
            begin, group, size = day, [], 0
        group += by_day[day]
        size += of_day
    yield Group(Days(begin, days.end), group)


class WholeDays:
    """Samples that are in memory."""

    def __init__(self, samples: Samples, order: Order) -> None:
        self._left, self._order = samples, order

    def take(self) -> tuple[Samples, int | None]:
        """All that is left; it has no end up to which it is complete, as nothing is missing."""
        return self._left, None

    def leave(self, end_us: int) -> None:
        """Do not give again what lies up to a time."""
        self._left = behind(self._left, end_us, self._order)


class CutDay:
    """Samples of a day, of each series so many at once."""

    def __init__(
        self, connection: psycopg.Connection, rows: Sequence[Size], span: Span, order: Order, needed: int | None
    ) -> None:
        self._connection, self._rows, self._order = connection, sorted(rows), order
        sizes: Int64s = np.array([row.n for row in self._rows], np.int64)
        self._series: Int64s = np.array([row.series for row in self._rows], np.int64)
        self._most = quotas(sizes, parts.MOST, needed)
        self._left = _places(connection, rows, span)
        self._taken: list[SealedRow] = []

    def take(self) -> tuple[Samples, int | None]:
        """The first samples of each series, and up to when there are all; None: up to the end."""
        some = []
        for row, most in zip(self._rows, self._most.tolist(), strict=True):
            first, last = self._left[row.times_id]
            if first <= last:
                ends = (first, min(last, first + most - 1)) if self._order == "asc" else (max(first, last - most + 1), last)
                some.append(Part(row, *ends))
        self._taken = parts.fetch(self._connection, some) if some else []
        samples = together(self._taken, Bounds.of(Span()))
        return samples, reached(samples, self._series, self._most, self._order)

    def leave(self, end_us: int) -> None:
        """Do not give again what lies up to a time, which is one that `take` has reached or before."""
        # Of series of the same times one says for all how many lie there: the time is none behind what was taken of any.
        for row in {row.times_id: row for row in self._taken}.values():
            first, last = self._left[row.times_id]
            if self._order == "asc":
                first += int(np.searchsorted(row.ts_us, end_us, "right"))
            else:
                last -= len(row.ts_us) - int(np.searchsorted(row.ts_us, end_us))
            self._left[row.times_id] = first, last


def of_group(connection: psycopg.Connection, group: Group, span: Span, order: Order) -> WholeDays:
    """The arrays of days as a whole, as far as they lie in a span."""
    if not group.rows:
        return WholeDays(NONE, order)
    series = sorted({row.series for row in group.rows})
    rows = sealed_rows.fetch_days(connection, series, *group.days)
    return WholeDays(together(rows, Bounds.of(span)), order)


def _places(connection: psycopg.Connection, rows: Sequence[Size], span: Span) -> dict[int, tuple[int, int]]:
    start, end = (None if end is None else end.isoformat() for end in (span.start, span.end))
    given = (start or "-infinity", end or "infinity", rows[0].day, [row.times_id for row in rows])
    return {number: (first, last) for number, first, last in connection.execute(PLACES.encode(), given)}
