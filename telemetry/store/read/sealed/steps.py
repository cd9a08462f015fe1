"""The readings of one GPU in steps, as `history.readings` has them, of arrays."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Row, func, literal, select, true, tuple_

from telemetry.readings.aggregates import Aggregate
from telemetry.readings.arrays import Float64s
from telemetry.store.read.history.mig import counted_once
from telemetry.store.read.history.readings import GpuReadings, series_of
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.sealed import runs
from telemetry.store.read.sealed.chunks import LAST
from telemetry.store.read.sealed.columns import Coded, Columns, Times, taken
from telemetry.store.read.sealed.fetched import Days
from telemetry.store.read.sealed.gathering import Gathering, Members, figures
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.runs import Runs
from telemetry.store.read.sealed.windows import windows
from telemetry.store.sealed_rows import microseconds


def steps(
    seen: Moment, asked: GpuReadings, step: timedelta, aggregate: Aggregate, days: Sequence[Days], rows_needed: int | None
) -> Generator[Columns]:
    """The answer in pieces, of a span whose `days` are sealed. None needed means all.

    Raises FloatingPointError if a sum is out of range, and TooManyError.
    """
    rows = _series(seen, asked)
    if any(row.instance for row in rows):
        # Where no series is of an instance, none counts twice, and to ask that of a year takes longer than the rest.
        rows = _series(seen, asked, counted_once(SeriesFilter(), asked.span))
    members = Members(*(np.array([getattr(row, name) for row in rows], np.int64) for name in ("id", "group")))
    by_number = {row.group: row for row in rows}
    metrics = [by_number[number] for number in range(1, len(by_number) + 1)]
    for span in windows(seen, _span(asked, step), days, step, len(metrics), asked.order, rows_needed):
        by_step = figures(seen, Gathering(aggregate, span, days, step), members)
        yield _piece(asked, metrics, by_step, runs.result(aggregate, by_step))


def _span(asked: GpuReadings, step: timedelta) -> Span:
    """The span, as far as the step that the page before ended in; others that it has are left out later."""
    if not asked.after:
        return asked.span
    begin = asked.after.time
    return asked.span.within(Span(start=begin) if asked.order == "asc" else Span(end=begin + step - LAST))


def _piece(asked: GpuReadings, metrics: Sequence[Row[Any]], by_step: Runs, value: Float64s) -> Columns:
    group = by_step.group - 1
    one = np.zeros_like(group)
    columns: Columns = {
        "timestamp": Times(by_step.step),
        "gpu": Coded(one, [asked.gpu]),
        "metric": Coded(group, [row.metric for row in metrics]),
        "value": value,
        "unit": Coded(group, [row.unit for row in metrics]),
        "labels": Coded(one, ["{}"]),
        "series": one,
    }
    places = np.lexsort((group, -by_step.step)) if asked.order == "desc" else np.arange(len(group))
    if asked.after:
        place_us = microseconds(asked.after.time)
        beyond = by_step.step < place_us if asked.order == "desc" else by_step.step > place_us
        ties = np.array([row.is_past for row in metrics], np.bool_)[group]
        places = places[(beyond | ((by_step.step == place_us) & ties))[places]]
    return taken(columns, places)


def _series(seen: Moment, asked: GpuReadings, *more: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """The series in order of their ids, each with the number of its metric, and whether that comes after the page before."""
    of = series_of(asked, *more).c
    is_past = tuple_(of.metric, literal(0)) > tuple_(*map(literal, asked.after.ties)) if asked.after else true()
    number = func.dense_rank().over(order_by=of.metric)
    columns = of.id, of.metric, of.unit, of.instance, number.label("group"), is_past.label("is_past")
    return seen.connection.execute(select(*columns).order_by(of.id)).all()
