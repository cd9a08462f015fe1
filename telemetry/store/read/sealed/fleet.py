"""Values aggregated over the fleet, as `history.fleet` has them, of arrays."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple, cast

import numpy as np
from sqlalchemy import Row, func, nulls_last, select
from sqlalchemy import desc as descending_order

from telemetry.readings.aggregates import Aggregate, OverTime
from telemetry.readings.arrays import Bools, Float64s, Int64s
from telemetry.store.read.history import chosen
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.selection import Span
from telemetry.store.read.sealed import between, derived, runs
from telemetry.store.read.sealed.between import Between, Last, Readings
from telemetry.store.read.sealed.columns import Coded, Column, Columns, Partial, Times, taken
from telemetry.store.read.sealed.derived import Sources
from telemetry.store.read.sealed.fetched import Bounds, Days
from telemetry.store.read.sealed.gathering import Gathering, Members, condition_holds, figures, placed
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.runs import TooManyError, starts, step_of
from telemetry.store.read.sealed.windows import windows
from telemetry.store.sealed_rows import microseconds

ENDS = np.iinfo(np.int64)
# Columns of numbers, which rows are sorted by as they are; all others have names, whose order Postgres knows.
NUMBERS = frozenset({"timestamp", "value", "readings", "low", "high"})


class Answer(NamedTuple):
    """Steps and groups in order, how many readings each has, and their aggregate; `overall` gives it of all steps together."""

    step: Int64s
    group: Int64s
    size: Int64s
    value: Float64s | Partial
    overall: Callable[[], tuple[Int64s, Float64s | Partial]]


def aggregate(seen: Moment, asked: Aggregation, days: Sequence[Days], rows_needed: int | None) -> Generator[Columns]:
    """The answer in pieces, of a span whose `days` are sealed. None needed means all.

    Raises FloatingPointError if a value is out of range, and TooManyError.
    """
    rows = _rows(seen, asked)
    # What comes first in a ranked or sorted answer depends on all of it.
    is_ordered = bool(asked.top or asked.bottom or asked.sort)
    spans = iter([asked.span])
    if asked.step:
        groups = max((row.group for row in rows), default=0) * _buckets(asked)
        spans = windows(seen, asked.span, days, asked.step, groups, needed=None if is_ordered else rows_needed)
    if is_ordered:
        one, *others = list(islice(spans, 2)) or [asked.span]
        if others:
            raise TooManyError
        spans = iter([one])
    find = (_over_time if asked.is_over_time else _at_times)(seen, asked, days, rows)
    for span in spans:
        yield _piece(asked, rows, find(span))


def _rows(seen: Moment, asked: Aggregation) -> Sequence[Row[Any]]:
    """The series in order of their ids, each with its group and its place in the order of names that is asked for."""
    cte, name = chosen.series(asked), (asked.sort or "").lstrip("-")
    rank: list[Any] = []
    if name and name not in NUMBERS:
        column = cte.c[name]
        order = nulls_last(descending_order(column) if asked.sort != name else column)
        rank = [func.dense_rank().over(order_by=order).label("rank")]
    return seen.connection.execute(select(cte, *rank).order_by(cte.c.id)).all()


def _at_times(seen: Moment, asked: Aggregation, days: Sequence[Days], rows: Sequence[Row[Any]]) -> Callable[[Span], Answer]:
    """How a span is answered where each value counts by itself."""
    members, is_histogram = _members(asked, rows), asked.aggregate == "histogram"
    aggregate = "count" if is_histogram else cast("Aggregate", asked.aggregate)
    sources = derived.derived_from(seen, _sources(asked, rows), days) if asked.formula else []
    buckets = asked.buckets if is_histogram else ()
    of_all = Gathering(aggregate, asked.span, days, asked.step, asked.where, buckets, asked.formula, sources)

    def find(span: Span) -> Answer:
        gathering = replace(of_all, span=span)
        by_step = figures(seen, gathering, members)

        def overall() -> tuple[Int64s, Float64s]:
            if aggregate.startswith("p"):
                whole = figures(seen, replace(gathering, step=None), members)
            else:
                whole = runs.overall(aggregate, by_step)
            return whole.group, runs.result(aggregate, whole)

        value = _shares(asked, by_step.step, by_step.group, by_step.size) if is_histogram else runs.result(aggregate, by_step)
        return Answer(by_step.step, by_step.group, by_step.size, value, overall)

    return find


def _over_time(seen: Moment, asked: Aggregation, days: Sequence[Days], rows: Sequence[Row[Any]]) -> Callable[[Span], Answer]:
    """How a span is answered where the reading before counts. Spans are asked for in order of time."""
    aggregate, members = cast("OverTime", asked.aggregate), _members(asked, rows)
    sources = derived.derived_from(seen, _sources(asked, rows), days)
    last, start_us = Last(members.series), Bounds.of(asked.span).start_us
    ahead = [asked.span.start - asked.bridge] if asked.span.start else []

    def find(span: Span) -> Answer:
        accumulator = Between(aggregate, asked.bridge)
        if ahead:
            span = Span(ahead.pop(), span.end)
        for samples in derived.values(seen, asked.formula, sources, span, days):
            readings = last.passed_by(samples)
            inside = samples.ts_us >= start_us
            some = samples.taken(inside)
            group, places = placed(some, members, asked.where)
            readings = Readings(*(column[inside][places] for column in readings))
            accumulator.add(step_of(some.ts_us[places], asked.step), group, readings)
        sums = accumulator.together()

        def overall() -> tuple[Int64s, Partial]:
            whole = between.overall(sums)
            return whole.group, between.result(aggregate, whole)

        return Answer(sums.step, sums.group, sums.size, between.result(aggregate, sums), overall)

    return find


def _piece(asked: Aggregation, rows: Sequence[Row[Any]], answer: Answer) -> Columns:
    columns: dict[str, Column] = {"timestamp": Times(answer.step)} if asked.step else {}
    group, bucket = np.divmod(answer.group, _buckets(asked))
    columns |= _keys(asked, rows, group)
    if asked.aggregate == "histogram":
        edges = np.array([0.0, *asked.buckets, 0.0])
        columns |= {"low": Partial(edges[bucket], bucket > 0)}
        columns |= {"high": Partial(edges[bucket + 1], bucket < len(asked.buckets))}
    columns |= {"value": answer.value, "readings": answer.size}
    keep: Bools = np.ones(len(answer.step), np.bool_)
    # The last key counts most.
    order: list[Any] = [answer.group, answer.step]
    if asked.top is not None or asked.bottom is not None:
        best, figure = _best(asked, *answer.overall())
        keep &= np.isin(answer.group, best)
        order[1:1] = _ordered(_some(figure, np.searchsorted(best, answer.group) % len(best)), descending=asked.top is not None)
    if asked.sort:
        order += _sorted(asked.sort, columns, rows, group)
    for condition in asked.having:
        keep &= _holds(condition, columns[condition.column])
    places = np.lexsort(order)
    return taken(columns, places[keep[places]])


def _members(asked: Aggregation, rows: Sequence[Row[Any]]) -> Members:
    series, group = (np.array([getattr(row, name) for row in rows], np.int64) for name in ("id", "group"))
    if not asked.by_time:
        return Members(series, group)
    low = [ENDS.min if row.low is None else microseconds(row.low) for row in rows]
    high = [ENDS.max if row.high is None else microseconds(row.high) for row in rows]
    return Members(series, group, np.array(low, np.int64), np.array(high, np.int64))


def _sources(asked: Aggregation, rows: Sequence[Row[Any]]) -> Sources:
    place = {name: number for number, name in enumerate(asked.formula.metrics if asked.formula else ())}
    # A series may be there several times, for each time that somebody had its GPU.
    some = {row.id: (row.id, row.of, place.get(row.metric, 0)) for row in rows}
    return Sources(*np.array(list(some.values()), np.int64).reshape(-1, 3).T)


def _buckets(asked: Aggregation) -> int:
    """How many groups there are for each one that is asked for."""
    return len(asked.buckets) + 1 if asked.aggregate == "histogram" else 1


def _shares(asked: Aggregation, step: Int64s, group: Int64s, size: Int64s) -> Float64s:
    """The share of each bucket in the readings of its step and group."""
    begins = starts(step, group // _buckets(asked))
    if not len(begins):
        return np.zeros(0)
    whole = np.add.reduceat(size, begins)
    share: Float64s = size / np.repeat(whole, np.diff(np.append(begins, len(size))))
    return share


def _keys(asked: Aggregation, rows: Sequence[Row[Any]], group: Int64s) -> dict[str, Column]:
    """The columns of groups, whose numbers count from 1."""
    by_number = {row.group: row._mapping for row in rows}  # noqa: SLF001 - a public name of SQLAlchemy
    groups = [by_number[number] for number in range(1, len(by_number) + 1)]
    return {name: Coded(group - 1, [row[name] for row in groups]) for name in asked.keys}


def _best(asked: Aggregation, group: Int64s, figure: Float64s | Partial) -> tuple[Int64s, Float64s | Partial]:
    """The groups with the largest (or smallest) aggregate over the whole span, in their order, and that aggregate."""
    order = [group, *_ordered(figure, descending=asked.top is not None)]
    best = np.sort(np.lexsort(order)[: asked.top or asked.bottom])
    return group[best], _some(figure, best)


def _some(numbers: Float64s | Partial, places: Int64s) -> Float64s | Partial:
    return numbers.taken(places) if isinstance(numbers, Partial) else numbers[places]


def _sorted(sort: str, columns: Columns, rows: Sequence[Row[Any]], group: Int64s) -> list[Any]:
    """Keys of numpy.lexsort for the order of a column."""
    name = sort.lstrip("-")
    column = columns[name]
    if name in NUMBERS:
        numbers = column.us if isinstance(column, Times) else cast("Float64s | Partial", column)
        return _ordered(numbers, descending=sort != name)
    rank = np.zeros(1 + max((row.group for row in rows), default=0), np.int64)
    for row in rows:
        rank[row.group] = row.rank
    return [rank[group]]


def _ordered(numbers: Float64s | Int64s | Partial, *, descending: bool) -> list[Any]:
    """Keys of numpy.lexsort for an order of numbers. NaN is the greatest, as in Postgres, and null comes last."""
    if isinstance(numbers, Partial):
        return [*_ordered(np.where(numbers.known, numbers.numbers, 0.0), descending=descending), ~numbers.known]
    return [-numbers, ~np.isnan(numbers)] if descending else [numbers]


def _holds(condition: chosen.Condition, column: Column) -> Bools:
    if isinstance(column, Partial):
        return column.known & condition_holds(condition, column.numbers)
    return condition_holds(condition, cast("Float64s", column))
