"""One metric aggregated over the fleet: by groups, in steps, of the top groups alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, TableValuedAlias, and_, desc, func, or_, select, true

from telemetry.readings.aggregates import Aggregate, Group
from telemetry.store.models import Gpu, Metric, Series
from telemetry.store.read.history.aggregates import aggregated, step_start
from telemetry.store.read.history.mig import counted_once
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.history.stored import samples_of
from telemetry.store.read.owned import OF_SERIES, PARTS, instance, names_owner, windows

# The columns of groups, in the order of an answer. `index` is no group of its own, it comes with a GPU.
COLUMNS: dict[str, Any] = {
    "host": Gpu.host,
    "gpu": Gpu.identity,
    "index": Gpu.index,
    "model": Gpu.model,
}
# What is shown of a GPU where it is a group.
OF_GPU = frozenset({"host", "index", "model"})
# In the order of an answer.
NAMES = (*COLUMNS, *PARTS)


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
        return tuple(name for name in NAMES if name in names)

    @property
    def parts(self) -> tuple[str, ...]:
        """The groups that say who used a GPU."""
        return tuple(name for name in PARTS if name in self.groups)

    @property
    def by_time(self) -> bool:
        """Whether the owner of a sample matters, which its time tells."""
        return bool(self.parts) or not self.filter.owners.is_open

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the answer."""
        return (*(["timestamp"] if self.step else []), *self.keys, "value", "readings")


def aggregate(asked: Aggregation) -> Select[Any]:
    """One row for each step and group that has readings, with the columns of the question."""
    names = asked.keys
    series = _series(asked)
    keys = [series.c[name] for name in names]
    sample = samples_of(series.c.id, asked.span)
    steps = [step_start(asked.step, sample.c)] if asked.step else []
    rows = select(*steps, *keys, aggregated(asked.aggregate, sample.c).label("value"), func.count().label("readings"))
    if asked.top is None:
        rows = rows.join_from(series, sample, _of(asked, series, sample))
    else:
        best = _best(asked, series, asked.top)
        rows = rows.add_columns(best.c.overall).group_by(best.c.overall)
        rows = rows.join_from(series, best, best.c.group == series.c.group).join(sample, _of(asked, series, sample))
    rows = rows.group_by(*steps, *keys)
    # Without groups and steps there would be a row of no readings too.
    values = rows.having(func.count() > 0).subquery().c
    by_rank = [] if asked.top is None else [desc(values.overall)]
    order = [*([values.timestamp] if asked.step else []), *by_rank, *(values[name] for name in names)]
    return select(*(values[name] for name in asked.columns)).order_by(*order)


def _series(asked: Aggregation) -> CTE:
    """The series, with their group's columns and its number, and in which time each is of that group, if time matters."""
    columns, of_time, among = COLUMNS, list[Any](), select(Series.id).select_from(Series).join(Gpu).join(Metric)
    if asked.by_time:
        some = asked.filter.owners
        held = windows(some, asked.span.start, asked.span.end, tuple(PARTS))
        columns = COLUMNS | {name: func.coalesce(OF_SERIES.get(name), held.c[name]) for name in PARTS}
        is_of = and_(held.c.gpu_id == Series.gpu_id, held.c.instance == instance(), ~names_owner())
        among = among.outerjoin(held, is_of).where(*some.on(columns))
        of_time = [held.c.low, held.c.high]
    keys = [columns[name] for name in asked.keys]
    # Groups are numbered in their order. What follows then compares numbers, and null is a key like any other.
    group = func.dense_rank().over(order_by=keys or None).label("group")
    labelled = [key.label(name) for name, key in zip(asked.keys, keys, strict=True)]
    once = counted_once(asked.filter, asked.span, instances=bool(asked.parts))
    rows = among.add_columns(*labelled, group, *of_time).where(*asked.filter.conditions(), once)
    return rows.cte("selected").prefix_with("MATERIALIZED")


def _of(asked: Aggregation, series: CTE, sample: TableValuedAlias) -> ColumnElement[bool]:
    """The condition that a sample of the series in a row of `_series` is of that row."""
    if not asked.by_time:
        return true()
    low, high, ts = series.c.low, series.c.high, sample.c.ts
    return and_(or_(low.is_(None), ts >= low), or_(high.is_(None), ts < high))


def _best(asked: Aggregation, series: CTE, top: int) -> CTE:
    """The groups with the largest aggregate over the whole span, and that aggregate."""
    sample = samples_of(series.c.id, asked.span)
    overall = aggregated(asked.aggregate, sample.c).label("overall")
    ranked = select(series.c.group, overall).join_from(series, sample, _of(asked, series, sample)).group_by(series.c.group)
    return ranked.order_by(desc(overall), series.c.group).limit(top).cte("best").prefix_with("MATERIALIZED")
