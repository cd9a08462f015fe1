"""Which way an answer is made: of arrays by NumPy, or by SQL, as `history` says it.

Arrays are taken where the span has sealed days. SQL makes all other answers, those of the raw readings of some owners, and
those of which the first piece would need more memory than one answer has: Postgres sorts on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from datetime import date, timedelta
from typing import Protocol

import psycopg
from sqlalchemy import Connection, text

from telemetry.readings.aggregates import Aggregate
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.raw import FleetReadings
from telemetry.store.read.history.readings import GpuReadings
from telemetry.store.read.history.selection import Span
from telemetry.store.read.owned import day
from telemetry.store.read.sealed import columns, fleet, raw, raw_of_fleet, steps
from telemetry.store.read.sealed.columns import Columns
from telemetry.store.read.sealed.fetched import Days
from telemetry.store.read.sealed.moment import Moment, moment
from telemetry.store.read.sealed.runs import TooManyError

# Rows of an answer that leave at once: of text they are about 1 MB.
ROWS = 10_000


class Reader(Protocol):
    """An answer, by a connection in AUTOCOMMIT, each piece in so many seconds; None where SQL makes it."""

    def __call__(self, connection: Connection, limit_s: float, /) -> Generator[Columns] | None:
        """Ask."""


DAYS = text("""
    SELECT greatest(first_day, :first) AS first_day, least(end_day, CAST(:last AS date) + 1) AS end_day
    FROM sealed_spans WHERE sealed_at IS NOT NULL AND first_day <= :last AND end_day > :first ORDER BY first_day
""")


def of_fleet(asked: Aggregation, rows_needed: int | None = None) -> Reader:
    """Values aggregated over the fleet. None needed means all, here and below."""
    span = asked.span
    if asked.is_over_time and span.start:
        span = Span(span.start - asked.bridge, span.end)
    return _reader(span, lambda seen, days: fleet.aggregate(seen, asked, days, rows_needed))


def of_steps(asked: GpuReadings, step: timedelta, aggregate: Aggregate, rows_needed: int | None = None) -> Reader:
    """The readings of a GPU in steps."""
    return _reader(asked.span, lambda seen, days: steps.steps(seen, asked, step, aggregate, days, rows_needed))


def of_raw(asked: GpuReadings, rows_needed: int | None) -> Reader:
    """The raw readings of a GPU."""
    return _reader(asked.span, lambda seen, days: raw.readings(seen, asked, days, rows_needed))


def of_raw_fleet(asked: FleetReadings, rows_needed: int | None) -> Reader | None:
    """The raw readings of many GPUs, unless only those of some owners are asked for."""
    if not asked.filter.owners.is_open:
        return None
    return _reader(asked.span, lambda seen, days: raw_of_fleet.readings(seen, asked, days, rows_needed))


def sealed_days(seen: Moment, span: Span) -> list[Days]:
    """The days of a span that are sealed, in order. Those that follow each other are one, as one statement can read them."""
    ends = {"first": day(span.start) if span.start else date.min, "last": day(span.end) if span.end else date.max}
    days = list[Days]()
    for first, end in seen.connection.execute(DAYS, ends):
        begin = days.pop().first if days and days[-1].end == first else first
        days.append(Days(begin, end))
    return days


def _reader(span: Span, answer: Callable[[Moment, list[Days]], Generator[Columns]]) -> Reader:
    def read(connection: Connection, limit_s: float, /) -> Generator[Columns] | None:
        with ExitStack() as stack:
            seen = stack.enter_context(moment(connection, limit_s))
            if not (days := sealed_days(seen, span)):
                return None
            pieces = stack.enter_context(closing(_translated(answer(seen, days))))
            try:
                first = next(pieces, None)
            except TooManyError:
                return None
            return _in_slices(seen, first, pieces, stack.pop_all())

    return read


def _in_slices(seen: Moment, piece: Columns | None, pieces: Iterator[Columns], open_: ExitStack) -> Generator[Columns]:
    """The answer, of which a piece was read. The moment ends with it, or when nobody wants the rest."""
    with open_:
        while piece is not None:
            for start in range(0, columns.length(piece), ROWS):
                yield columns.taken(piece, slice(start, start + ROWS))
                seen.keep()
            seen.begin_piece()
            try:
                piece = next(pieces, None)
            except TooManyError:
                raise psycopg.errors.QueryCanceled("a step has more values than a percentile is made of") from None


def _translated(pieces: Generator[Columns]) -> Generator[Columns]:
    """The same, whose error has the name that Postgres gives it."""
    try:
        yield from pieces
    except FloatingPointError:
        raise psycopg.errors.NumericValueOutOfRange("a value is out of range") from None
