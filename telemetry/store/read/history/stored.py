"""Samples of any age: rows, arrays of sealed days, and what came late for those, as one relation.

Whatever asks for samples joins one of these with its series, and not the table `samples`, which has the days that still change
alone. They are functions of the database (revision 0015) that Postgres puts in place of the call: the span prunes partitions
and sealed days, so it should be as narrow as the question.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import BigInteger, Double, Integer, TableValuedAlias, cast, column, func, literal, literal_column

from telemetry.store.models import Time
from telemetry.store.read.history.selection import Span
from telemetry.store.read.places import Order, Place

COLUMNS = (column("series_id", BigInteger), column("ts", Time), column("value", Double))
EVER = Span()
START_OF_TIME, END_OF_TIME = (literal_column(f"'{end}'::timestamptz", Time) for end in ("-infinity", "infinity"))


def samples_of(series_id: Any, span: Span = EVER) -> TableValuedAlias:
    """The samples of a series in a span, to be joined laterally: `series_id` is a column of what stands before."""
    return func.samples_of(series_id, *_ends(span)).table_valued(*COLUMNS, name="sample", joins_implicitly=True)


def outermost(series_id: Any, end: Literal["first", "last"], span: Span = EVER, most: int = 1) -> TableValuedAlias:
    """The first or the last samples of a series in a span, at most so many, in order of time or against it."""
    function = func.samples_first if end == "first" else func.samples_last
    samples = function(series_id, *_ends(span), cast(literal(most), Integer))
    return samples.table_valued(*COLUMNS, name="sample", joins_implicitly=True)


def page_of(series_id: Any, span: Span, order: Order, after: Place | None, rows_needed: int | None) -> TableValuedAlias:
    """The samples of a series in a span that may be on the page behind a place (`after.passed_by` says which are).

    None needed means all.
    """
    if after is not None:
        span = span.within(Span(start=after.time) if order == "asc" else Span(end=after.time))
    if rows_needed is None:
        return samples_of(series_id, span)
    # No series gives more rows than are needed, beside one at the place itself, and they are read off the primary key. So a
    # page costs the same however long the history is.
    return outermost(series_id, "first" if order == "asc" else "last", span, rows_needed + (after is not None))


def _ends(span: Span) -> tuple[Any, Any]:
    start = START_OF_TIME if span.start is None else cast(span.start, Time)
    return start, END_OF_TIME if span.end is None else cast(span.end, Time)
