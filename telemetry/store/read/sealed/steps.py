"""The readings of one GPU in steps, as `history.readings` has them, of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Row, func, literal, select, true, tuple_

from telemetry.readings.aggregates import Aggregate
from telemetry.store.read.history.mig import counted_once
from telemetry.store.read.history.readings import GpuReadings, series_of
from telemetry.store.read.history.selection import SeriesFilter
from telemetry.store.read.sealed import runs
from telemetry.store.read.sealed.columns import Coded, Columns, Times, taken
from telemetry.store.read.sealed.fetched import Days
from telemetry.store.read.sealed.gathering import Gathering, Members, gathered
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.sealed_rows import microseconds


def steps(seen: Moment, asked: GpuReadings, step: timedelta, aggregate: Aggregate, days: Sequence[Days]) -> Columns:
    """The answer, of a span whose `days` are sealed. Raises FloatingPointError if a sum is out of range."""
    rows = _series(seen, asked)
    if any(row.instance for row in rows):
        # Where no series is of an instance, none counts twice, and to ask that of a year takes longer than the rest.
        rows = _series(seen, asked, counted_once(SeriesFilter(), asked.span))
    members = Members(*(np.array([getattr(row, name) for row in rows], np.int64) for name in ("id", "group")))
    found = gathered(seen, Gathering(aggregate, asked.span, days, step), members).together()
    by_number = {row.group: row for row in rows}
    metrics = [by_number[number] for number in range(1, len(by_number) + 1)]
    group = found.group - 1
    one = np.zeros_like(group)
    columns: Columns = {
        "timestamp": Times(found.step),
        "gpu": Coded(one, [asked.gpu]),
        "metric": Coded(group, [row.metric for row in metrics]),
        "value": runs.result(aggregate, found),
        "unit": Coded(group, [row.unit for row in metrics]),
        "labels": Coded(one, ["{}"]),
        "series": one,
    }
    places = np.lexsort((group, -found.step)) if asked.order == "desc" else np.arange(len(group))
    if asked.after:
        place_us = microseconds(asked.after.time)
        beyond = found.step < place_us if asked.order == "desc" else found.step > place_us
        ties = np.array([row.is_past for row in metrics], np.bool_)[group]
        places = places[(beyond | ((found.step == place_us) & ties))[places]]
    return taken(columns, places)


def _series(seen: Moment, asked: GpuReadings, *more: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """The series in order of their ids, each with the number of its metric, and whether that comes after the page before."""
    of = series_of(asked, *more).c
    is_past = tuple_(of.metric, literal(0)) > tuple_(*map(literal, asked.after.ties)) if asked.after else true()
    number = func.dense_rank().over(order_by=of.metric)
    columns = of.id, of.metric, of.unit, of.instance, number.label("group"), is_past.label("is_past")
    return seen.connection.execute(select(*columns).order_by(of.id)).all()
