"""Which way an answer is made: of arrays by NumPy, or by SQL, as `history` says it.

Arrays are taken where the span has sealed days. SQL makes all other answers, and those that NumPy has no counterpart for here:
values over time, those of formulas, histograms, and rows in the order of names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from functools import partial
from typing import get_args

import psycopg
from sqlalchemy import Connection, text

from telemetry.readings.aggregates import Aggregate
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.readings import GpuReadings
from telemetry.store.read.history.selection import Span
from telemetry.store.read.owned import day
from telemetry.store.read.sealed import fleet, raw, steps
from telemetry.store.read.sealed.columns import Columns
from telemetry.store.read.sealed.fetched import Days
from telemetry.store.read.sealed.moment import Moment, moment

# An answer, by a connection in AUTOCOMMIT, in so many seconds; None where SQL makes it.
Reader = Callable[[Connection, float], Iterator[Columns] | None]
DAYS = text("""
    SELECT greatest(first_day, :first) AS first_day, least(end_day, CAST(:last AS date) + 1) AS end_day
    FROM sealed_spans WHERE sealed_at IS NOT NULL AND first_day <= :last AND end_day > :first ORDER BY first_day
""")


def of_fleet(asked: Aggregation) -> Reader | None:
    """Values aggregated over the fleet."""
    is_plain = asked.aggregate in get_args(Aggregate) and not asked.formula
    if not is_plain or (asked.sort and asked.sort.lstrip("-") not in fleet.SORTED):
        return None
    return _reader(asked.span, lambda seen, days: iter([fleet.aggregate(seen, asked, days)]))


def of_steps(asked: GpuReadings, step: timedelta, aggregate: Aggregate) -> Reader:
    """The readings of a GPU in steps."""
    return _reader(asked.span, lambda seen, days: iter([steps.steps(seen, asked, step, aggregate, days)]))


def of_raw(asked: GpuReadings, rows_needed: int | None) -> Reader:
    """The raw readings of a GPU, in pieces that are read when they are asked for. None needed means all."""
    return _reader(asked.span, lambda seen, days: raw.readings(seen, asked, days, rows_needed))


def sealed_days(seen: Moment, span: Span) -> list[Days]:
    """The days of a span that are sealed, in order."""
    ends = {"first": day(span.start) if span.start else date.min, "last": day(span.end) if span.end else date.max}
    return [Days(*row) for row in seen.connection.execute(DAYS, ends)]


def _reader(span: Span, answer: Callable[[Moment, list[Days]], Iterator[Columns]]) -> Reader:
    def read(connection: Connection, limit_s: float) -> Iterator[Columns] | None:
        with ExitStack() as stack:
            seen = stack.enter_context(moment(connection, limit_s))
            if not (days := sealed_days(seen, span)):
                return None
            return _until_end(partial(answer, seen, days), stack.pop_all())

    return read


def _until_end(answer: Callable[[], Iterator[Columns]], moment_: ExitStack) -> Iterator[Columns]:
    with moment_:
        try:
            yield from answer()
        except FloatingPointError:
            raise psycopg.errors.NumericValueOutOfRange("a sum of values is out of range") from None
