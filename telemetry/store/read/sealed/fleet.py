"""Values aggregated over the fleet, as `history.fleet` has them, of arrays."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, cast

import numpy as np
from sqlalchemy import Row, select

from telemetry.readings.aggregates import Aggregate
from telemetry.readings.arrays import Bools, Float64s, Int64s
from telemetry.store.read.history import chosen
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.sealed import runs
from telemetry.store.read.sealed.columns import Coded, Column, Columns, Times, taken
from telemetry.store.read.sealed.fetched import Days
from telemetry.store.read.sealed.gathering import Gathering, Members, condition_holds, figures
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.runs import Runs, TooManyError
from telemetry.store.read.sealed.windows import windows
from telemetry.store.sealed_rows import microseconds

# Columns of an answer that rows can be sorted by here: of names Postgres knows the order.
SORTED = frozenset({"timestamp", "value", "readings"})
ENDS = np.iinfo(np.int64)


def aggregate(seen: Moment, asked: Aggregation, days: Sequence[Days], rows_needed: int | None) -> Generator[Columns]:
    """The answer in pieces, of a span whose `days` are sealed. None needed means all.

    Raises FloatingPointError if a sum is out of range, and TooManyError.
    """
    aggregate, cte = cast("Aggregate", asked.aggregate), chosen.series(asked)
    rows = seen.connection.execute(select(cte).order_by(cte.c.id)).all()
    members = _members(asked, rows)
    # What comes first in a ranked or sorted answer depends on all of it.
    is_ordered = bool(asked.top or asked.bottom or asked.sort)
    spans = iter([asked.span])
    if asked.step:
        groups = max((row.group for row in rows), default=0)
        spans = windows(seen, asked.span, days, asked.step, groups, needed=None if is_ordered else rows_needed)
    if is_ordered:
        one, *others = list(islice(spans, 2)) or [asked.span]
        if others:
            raise TooManyError
        spans = iter([one])
    for span in spans:
        yield _piece(seen, asked, Gathering(aggregate, span, days, asked.step, asked.where), members, rows)


def _piece(seen: Moment, asked: Aggregation, gathering: Gathering, members: Members, rows: Sequence[Row[Any]]) -> Columns:
    aggregate, found = gathering.aggregate, figures(seen, gathering, members)
    columns: dict[str, Column] = {"timestamp": Times(found.step)} if asked.step else {}
    columns |= _keys(asked, rows, found.group)
    columns |= {"value": runs.result(aggregate, found), "readings": found.size}
    keep: Bools = np.ones(len(found.step), np.bool_)
    # The last key counts most.
    order: list[Any] = [found.group, found.step]
    if asked.top is not None or asked.bottom is not None:
        if aggregate.startswith("p"):
            overall = figures(seen, replace(gathering, step=None), members)
        else:
            overall = runs.overall(aggregate, found)
        best, figure = _best(asked, overall)
        keep &= np.isin(found.group, best)
        order[1:1] = _ordered(figure[np.searchsorted(best, found.group) % len(best)], descending=asked.top is not None)
    if asked.sort:
        column = columns[asked.sort.lstrip("-")]
        numbers = column.us if isinstance(column, Times) else cast("Float64s", column)
        order += _ordered(numbers, descending=asked.sort.startswith("-"))
    for condition in asked.having:
        keep &= condition_holds(condition, cast("Float64s", columns[condition.column]))
    places = np.lexsort(order)
    return taken(columns, places[keep[places]])


def _members(asked: Aggregation, rows: Sequence[Row[Any]]) -> Members:
    series, group = (np.array([getattr(row, name) for row in rows], np.int64) for name in ("id", "group"))
    if not asked.by_time:
        return Members(series, group)
    low = [ENDS.min if row.low is None else microseconds(row.low) for row in rows]
    high = [ENDS.max if row.high is None else microseconds(row.high) for row in rows]
    return Members(series, group, np.array(low, np.int64), np.array(high, np.int64))


def _keys(asked: Aggregation, rows: Sequence[Row[Any]], group: Int64s) -> dict[str, Column]:
    """The columns of groups, whose numbers count from 1."""
    by_number = {row.group: row._mapping for row in rows}  # noqa: SLF001 - a public name of SQLAlchemy
    groups = [by_number[number] for number in range(1, len(by_number) + 1)]
    return {name: Coded(group - 1, [row[name] for row in groups]) for name in asked.keys}


def _best(asked: Aggregation, overall: Runs) -> tuple[Int64s, Float64s]:
    """The groups with the largest (or smallest) aggregate over the whole span, in their order, and that aggregate."""
    figure = runs.result(cast("Aggregate", asked.aggregate), overall)
    order = [overall.group, *_ordered(figure, descending=asked.top is not None)]
    best = np.sort(np.lexsort(order)[: asked.top or asked.bottom])
    return overall.group[best], figure[best]


def _ordered(numbers: Float64s | Int64s, *, descending: bool) -> list[Any]:
    """Keys of numpy.lexsort for an order of numbers. NaN is the greatest, as in Postgres."""
    return [-numbers, ~np.isnan(numbers)] if descending else [numbers]
