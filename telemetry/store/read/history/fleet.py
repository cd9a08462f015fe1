"""One metric aggregated over the fleet: by groups, in steps, of the top groups alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import CTE, Select, Text, cast, desc, func, null, select

from telemetry.readings.aggregates import Aggregate, Group
from telemetry.store.models import Gpu, Metric, Sample, Series
from telemetry.store.read.history.aggregates import aggregated, step_start
from telemetry.store.read.history.selection import SeriesFilter, Span

GROUPS: dict[Group, Any] = {
    "host": Gpu.host,
    "gpu": Gpu.identity,
    "model": Gpu.model,
    "namespace": Series.namespace,
    "pod": Series.pod,
    "container": Series.container,
}


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregate of some series over a span: by which groups, in which steps (None: one), of the `top` groups alone."""

    filter: SeriesFilter
    span: Span
    groups: Sequence[Group] = ()
    aggregate: Aggregate = "avg"
    step: timedelta | None = None
    top: int | None = None


def aggregate(asked: Aggregation) -> Select[Any]:
    """One row for each step and group that has readings: `timestamp`, every group's column, `value`, `readings`.

    `timestamp` is null without steps, and so is the column of a group that was not asked for.
    """
    names = [name for name in GROUPS if name in asked.groups]
    series = _series(asked.filter, names)
    keys = [series.c[name] for name in names]
    start = step_start(asked.step) if asked.step else null().label("timestamp")
    rows = select(start, *keys, aggregated(asked.aggregate).label("value"), func.count().label("readings"))
    if asked.top is None:
        rows = rows.join_from(series, Sample, Sample.series_id == series.c.id)
    else:
        best = _best(asked, series, asked.top)
        rows = rows.add_columns(best.c.overall).group_by(best.c.overall)
        rows = rows.join_from(series, best, best.c.group == series.c.group).join(Sample, Sample.series_id == series.c.id)
    rows = rows.where(asked.span.holds(Sample.ts)).group_by(*([start] if asked.step else []), *keys)
    # Without groups and steps there would be a row of no readings too.
    values = rows.having(func.count() > 0).subquery().c
    columns: list[Any] = [cast(values.timestamp, Sample.ts.type).label("timestamp")]
    columns += [values[name] if name in names else null().cast(Text).label(name) for name in GROUPS]
    by_rank = [] if asked.top is None else [desc(values.overall)]
    order = [values.timestamp, *by_rank, *(values[name] for name in names)]
    return select(*columns, values.value, values.readings).order_by(*order)


def _series(some: SeriesFilter, names: Sequence[Group]) -> CTE:
    """The series, with their group's columns and its number."""
    keys = [GROUPS[name] for name in names]
    # Groups are numbered in their order. What follows then compares numbers, and null is a key like any other.
    group = func.dense_rank().over(order_by=keys or None).label("group")
    labelled = [key.label(name) for name, key in zip(names, keys, strict=True)]
    rows = select(Series.id, *labelled, group).select_from(Series).join(Gpu).join(Metric).where(*some.conditions())
    return rows.cte("selected").prefix_with("MATERIALIZED")


def _best(asked: Aggregation, series: CTE, top: int) -> CTE:
    """The groups with the largest aggregate over the whole span, and that aggregate."""
    overall = aggregated(asked.aggregate).label("overall")
    ranked = select(series.c.group, overall).join_from(series, Sample, Sample.series_id == series.c.id)
    ranked = ranked.where(asked.span.holds(Sample.ts)).group_by(series.c.group)
    return ranked.order_by(desc(overall), series.c.group).limit(top).cte("best").prefix_with("MATERIALIZED")
