"""One metric aggregated over the fleet: by groups, in steps, of the top groups alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import CTE, Select, desc, func, select

from telemetry.readings.aggregates import Aggregate, Group
from telemetry.store.models import Gpu, Metric, Sample, Series
from telemetry.store.read.history.aggregates import aggregated, step_start
from telemetry.store.read.history.mig import counted_once
from telemetry.store.read.history.selection import SeriesFilter, Span

# The columns of groups, in the order of an answer. `index` is no group of its own, it comes with a GPU.
COLUMNS: dict[str, Any] = {
    "host": Gpu.host,
    "gpu": Gpu.identity,
    "index": Gpu.index,
    "model": Gpu.model,
    "namespace": Series.namespace,
    "pod": Series.pod,
    "container": Series.container,
}
# What is shown of a GPU where it is a group.
OF_GPU = frozenset({"host", "index", "model"})
# Groups that say who used a GPU.
OWNERS = frozenset({"namespace", "pod", "container"})


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregate of some series over a span: by which groups, in which steps (None: one), of the `top` groups alone."""

    filter: SeriesFilter
    span: Span
    groups: Sequence[Group] = ()
    aggregate: Aggregate = "avg"
    step: timedelta | None = None
    top: int | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that readings are grouped by: the groups, and with a GPU what tells which one it is."""
        names = {*self.groups, *(OF_GPU if "gpu" in self.groups else ())}
        return tuple(name for name in COLUMNS if name in names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the answer."""
        return (*(["timestamp"] if self.step else []), *self.keys, "value", "readings")


def aggregate(asked: Aggregation) -> Select[Any]:
    """One row for each step and group that has readings, with the columns of the question."""
    names = asked.keys
    series = _series(asked)
    keys = [series.c[name] for name in names]
    steps = [step_start(asked.step)] if asked.step else []
    rows = select(*steps, *keys, aggregated(asked.aggregate).label("value"), func.count().label("readings"))
    if asked.top is None:
        rows = rows.join_from(series, Sample, Sample.series_id == series.c.id)
    else:
        best = _best(asked, series, asked.top)
        rows = rows.add_columns(best.c.overall).group_by(best.c.overall)
        rows = rows.join_from(series, best, best.c.group == series.c.group).join(Sample, Sample.series_id == series.c.id)
    rows = rows.where(asked.span.holds(Sample.ts)).group_by(*steps, *keys)
    # Without groups and steps there would be a row of no readings too.
    values = rows.having(func.count() > 0).subquery().c
    by_rank = [] if asked.top is None else [desc(values.overall)]
    order = [*([values.timestamp] if asked.step else []), *by_rank, *(values[name] for name in names)]
    return select(*(values[name] for name in asked.columns)).order_by(*order)


def _series(asked: Aggregation) -> CTE:
    """The series, with their group's columns and its number."""
    keys = [COLUMNS[name] for name in asked.keys]
    # Groups are numbered in their order. What follows then compares numbers, and null is a key like any other.
    group = func.dense_rank().over(order_by=keys or None).label("group")
    labelled = [key.label(name) for name, key in zip(asked.keys, keys, strict=True)]
    once = counted_once(asked.filter, asked.span, instances=not OWNERS.isdisjoint(asked.groups))
    rows = select(Series.id, *labelled, group).select_from(Series).join(Gpu).join(Metric)
    rows = rows.where(*asked.filter.conditions(), once)
    return rows.cte("selected").prefix_with("MATERIALIZED")


def _best(asked: Aggregation, series: CTE, top: int) -> CTE:
    """The groups with the largest aggregate over the whole span, and that aggregate."""
    overall = aggregated(asked.aggregate).label("overall")
    ranked = select(series.c.group, overall).join_from(series, Sample, Sample.series_id == series.c.id)
    ranked = ranked.where(asked.span.holds(Sample.ts)).group_by(series.c.group)
    return ranked.order_by(desc(overall), series.c.group).limit(top).cte("best").prefix_with("MATERIALIZED")
