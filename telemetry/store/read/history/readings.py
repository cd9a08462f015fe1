"""The readings of one GPU, raw or aggregated in steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, Text, and_, cast, desc, func, literal, select, true
from sqlalchemy.dialects.postgresql import distinct_on

from telemetry.readings.aggregates import Aggregate
from telemetry.store.models import Metric, Series
from telemetry.store.read.filters import among
from telemetry.store.read.history.aggregates import Values, aggregated, step_start
from telemetry.store.read.history.mig import counted_once
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.history.stored import page_of, samples_of
from telemetry.store.read.owned import holders, instance, names_owner
from telemetry.store.read.places import Order, Place


@dataclass(frozen=True, slots=True)
class GpuReadings:
    """Readings of one GPU: of which span and metrics (none: all), in which order of time, after which place.

    `gpu_id` is its number in the database, `gpu` the name that readers see.
    """

    gpu_id: int
    gpu: str
    span: Span = Span()
    metrics: tuple[str, ...] = ()
    order: Order = "asc"
    after: Place | None = None


def readings(asked: GpuReadings, rows_needed: int | None = None) -> Select[Any]:
    """Readings in order of time, then of metric and series; the column `series` is for the place that a page ends at.

    `labels` has those of the series and of the owner at that time: of several the one that has the GPU longest from then on.
    `rows_needed` is how many rows the caller takes, those that it skips included; None means all.
    """
    series = series_of(asked)
    descending = asked.order == "desc"
    sample = page_of(series.c.id, asked.span, asked.order, asked.after, rows_needed)
    passed = asked.after.passed_by(sample.c.ts, [series.c.metric, series.c.id], asked.order) if asked.after else true()
    columns = (
        sample.c.ts,
        series.c.metric,
        sample.c.value,
        series.c.unit,
        series.c.said,
        series.c.labels,
        series.c.instance,
        series.c.own,
    )
    rows = select(*columns, series.c.id).join_from(series, sample, true()).where(passed)
    rows = rows.order_by(desc(sample.c.ts) if descending else sample.c.ts, series.c.metric, series.c.id)
    page = (rows if rows_needed is None else rows.limit(rows_needed)).subquery()
    row = page.c
    held = holders(asked.gpu_id, asked.span.start, asked.span.end)
    of = held.c
    is_of = and_(
        ~row.own, of.instance == row.instance, of.day == func.date(func.timezone("UTC", row.ts)), of.held.op("@>")(row.ts)
    )
    place = (desc(row.ts) if descending else row.ts, row.metric, row.id)
    return (
        select(
            row.ts.label("timestamp"),
            literal(asked.gpu, Text).label("gpu"),
            row.metric,
            row.value,
            row.unit,
            func.coalesce(cast(row.said.op("||")(of.labels), Text), row.labels).label("labels"),
            row.id.label("series"),
        )
        .select_from(page)
        .outerjoin(held, is_of)
        .ext(distinct_on(row.ts, row.metric, row.id))
        .order_by(*place, desc(func.upper(of.held)), desc(func.lower(of.held)), desc(of.owner_id))
    )


def steps(asked: GpuReadings, step: timedelta, aggregate: Aggregate) -> Select[Any]:
    """One row for each step and metric that has readings, aggregated over all series of the metric (MIG: see `mig`)."""
    series = series_of(asked, counted_once(SeriesFilter(), asked.span))
    sample = samples_of(series.c.id, asked.span)
    start = step_start(step, sample.c.ts)
    value = aggregated(aggregate, Values(sample.c.ts, sample.c.value, sample.c.series_id)).label("value")
    aggregates = (
        select(start, series.c.metric, value, series.c.unit)
        .join_from(series, sample, true())
        .group_by(start, series.c.metric, series.c.unit)
        .subquery()
    )
    time = aggregates.c.timestamp
    rows = select(
        time,
        literal(asked.gpu, Text).label("gpu"),
        aggregates.c.metric,
        aggregates.c.value,
        aggregates.c.unit,
        literal("{}", Text).label("labels"),
        literal(0).label("series"),
    )
    if asked.after:
        rows = rows.where(asked.after.passed_by(time, [aggregates.c.metric, literal(0)], asked.order))
    return rows.order_by(desc(time) if asked.order == "desc" else time, aggregates.c.metric)


def series_of(asked: GpuReadings, *more: ColumnElement[bool]) -> CTE:
    """The series of a GPU, of the metrics asked for: `id`, `metric`, `unit`, labels as JSON and as text, and whose they are."""
    # Materialised, so that labels become text once for each series and not for each row.
    return (
        select(
            *(Series.id, Metric.name.label("metric"), Metric.unit, Series.labels.label("said")),
            *(cast(Series.labels, Text).label("labels"), instance().label("instance"), names_owner().label("own")),
        )
        .join(Metric)
        .where(Series.gpu_id == asked.gpu_id, *among(Metric.name, asked.metrics), *more)
        .cte("selected")
        .prefix_with("MATERIALIZED")
    )
