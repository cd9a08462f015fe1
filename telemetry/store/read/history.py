"""Readings as they are asked for: those of one GPU, raw or aggregated, the latest of many, an aggregate of the fleet.

Each function returns a statement whose columns carry the names that readers see. Labels come as the text of their JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Double,
    Select,
    Text,
    and_,
    cast,
    desc,
    func,
    literal,
    null,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, array

from telemetry.store.models import Gpu, Metric, Sample, Series

Order = Literal["asc", "desc"]
Aggregate = Literal["avg", "min", "max", "sum", "last", "count", "p50", "p95", "p99"]
Group = Literal["host", "gpu", "model", "namespace", "pod", "container"]
GROUPS: dict[Group, Any] = {
    "host": Gpu.host,
    "gpu": Gpu.identity,
    "model": Gpu.model,
    "namespace": Series.namespace,
    "pod": Series.pod,
    "container": Series.container,
}
# Buckets begin at multiples of their step since then.
ORIGIN = literal("1970-01-01T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends included; None is open."""

    start: datetime | None
    end: datetime | None

    def holds(self, column: Any) -> ColumnElement[bool]:
        """The condition that a time lies in it."""
        return and_(
            *([column >= self.start] if self.start else []),
            *([column <= self.end] if self.end else []),
            true(),
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: its last reading. Ties in time are in order of metric and series."""

    ts: datetime
    metric: str
    series: int

    def before(self, ts: Any, metric: Any, series: Any, order: Order) -> ColumnElement[bool]:
        """The condition that a reading comes after this place."""
        later = ts > self.ts if order == "asc" else ts < self.ts
        # The first part says nothing new, but an index can use it.
        reached = ts >= self.ts if order == "asc" else ts <= self.ts
        return and_(reached, or_(later, tuple_(metric, series) > tuple_(literal(self.metric), literal(self.series))))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Readings of one GPU: from when to when, of which metrics (none: all), in which order, after which place."""

    gpu_id: int
    gpu: str
    span: Span
    metrics: Sequence[str] = ()
    order: Order = "asc"
    after: Place | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """Some of the fleet; None and nothing leave all in."""

    gpu: int | None = None
    host: str | None = None
    model: str | None = None
    namespace: str | None = None
    pod: str | None = None
    metrics: Sequence[str] = field(default_factory=tuple)

    def conditions(self) -> list[ColumnElement[bool]]:
        """On gpus, series and metrics."""
        pairs: list[tuple[Any, Any]] = [
            (Gpu.id, self.gpu),
            (Gpu.host, self.host),
            (Gpu.model, self.model),
            (Series.namespace, self.namespace),
            (Series.pod, self.pod),
        ]
        named = [Metric.name.in_(self.metrics)] if self.metrics else []
        return [column == value for column, value in pairs if value is not None] + named


def readings(wanted: Wanted, most: int | None) -> Select[Any]:
    """Readings in order of time, ties in order of metric and series; `series` goes with them for the next place."""
    series = _series(wanted)
    newest = wanted.order == "desc"
    each = select(Sample.ts, Sample.value).where(Sample.series_id == series.c.id, wanted.span.holds(Sample.ts))
    if wanted.after:
        each = each.where(wanted.after.before(Sample.ts, series.c.metric, series.c.id, wanted.order))
    if most is not None:
        # Each series gives no more rows than the page can take, read off the primary key (series_id, ts): a page costs
        # the same however long the history is.
        each = each.order_by(desc(Sample.ts) if newest else Sample.ts).limit(wanted.offset + most)
    found = each.lateral()
    return (
        select(
            found.c.ts.label("timestamp"),
            literal(wanted.gpu, Text).label("gpu"),
            series.c.metric,
            found.c.value,
            series.c.unit,
            series.c.labels,
            series.c.id.label("series"),
        )
        .join_from(series, found, true())
        .order_by(desc(found.c.ts) if newest else found.c.ts, series.c.metric, series.c.id)
        .limit(most)
        .offset(wanted.offset or None)
    )


def buckets(wanted: Wanted, step: timedelta, aggregate: Aggregate, most: int | None) -> Select[Any]:
    """One row for each step and metric that has readings, over all series of the metric."""
    series = _series(wanted)
    start = _bucket(step)
    found = (
        select(start, series.c.metric, aggregated(aggregate).label("value"), series.c.unit)
        .join_from(series, Sample, Sample.series_id == series.c.id)
        .where(wanted.span.holds(Sample.ts))
        .group_by(start, series.c.metric, series.c.unit)
        .subquery()
    )
    time = found.c.timestamp
    rows = select(
        time,
        literal(wanted.gpu, Text).label("gpu"),
        found.c.metric,
        found.c.value,
        found.c.unit,
        literal("{}", Text).label("labels"),
        literal(0).label("series"),
    )
    if wanted.after:
        rows = rows.where(wanted.after.before(time, found.c.metric, literal(0), wanted.order))
    ordered = rows.order_by(desc(time) if wanted.order == "desc" else time, found.c.metric)
    return ordered.limit(most).offset(wanted.offset or None)


def latest(wanted: Filter, most: int | None, offset: int) -> Select[Any]:
    """The latest reading of each series, by host, index and metric."""
    last = select(Sample.ts, Sample.value).where(Sample.series_id == Series.id).order_by(desc(Sample.ts)).limit(1).lateral()
    return (
        select(
            last.c.ts.label("timestamp"),
            Gpu.identity.label("gpu"),
            Gpu.host,
            Gpu.index.label("index"),
            Metric.name.label("metric"),
            last.c.value,
            Metric.unit,
            cast(Series.labels, Text).label("labels"),
            Series.id.label("series"),
        )
        .select_from(Series)
        .join(Gpu)
        .join(Metric)
        .join(last, true())
        .where(*wanted.conditions())
        .order_by(Gpu.host, Gpu.index, Gpu.identity, Metric.name, Series.id)
        .limit(most)
        .offset(offset or None)
    )


def series(wanted: Filter, most: int) -> Select[Any]:
    """Series by host, index and metric, with what a reading of each says but for time and value."""
    columns: list[Any] = [Series.id]
    return (
        select(
            *columns,
            Gpu.identity.label("gpu"),
            Gpu.host,
            Gpu.index.label("index"),
            Metric.name.label("metric"),
            Metric.unit,
            cast(Series.labels, Text).label("labels"),
        )
        .select_from(Series)
        .join(Gpu)
        .join(Metric)
        .where(*wanted.conditions())
        .order_by(Gpu.host, Gpu.index, Gpu.identity, Metric.name, Series.id)
        .limit(most)
    )


def newer(seen: Mapping[int, datetime]) -> Select[Any]:
    """The latest reading of each of some series that has one after the time it was seen at: `id`, `timestamp`, `value`."""
    ids, times = literal(list(seen), ARRAY(BigInteger)), literal(list(seen.values()), ARRAY(Sample.ts.type))
    each = func.unnest(ids, times).table_valued("id", "since", name="seen").render_derived()
    last = select(Sample.ts, Sample.value).where(Sample.series_id == each.c.id, Sample.ts > each.c.since)
    found = last.order_by(desc(Sample.ts)).limit(1).lateral()
    return select(each.c.id, found.c.ts.label("timestamp"), found.c.value).join_from(each, found, true())


@dataclass(frozen=True, slots=True)
class FleetQuery:
    """An aggregate over some of the fleet: of which span, by what, in which steps (None: one), of the top groups alone."""

    filter: Filter
    span: Span
    groups: Sequence[Group]
    aggregate: Aggregate
    step: timedelta | None
    top: int | None


def fleet(wanted: FleetQuery, most: int | None, offset: int) -> Select[Any]:
    """One row for each step and group that has readings: time (null without steps), group columns, value, readings."""
    keys = [GROUPS[name].label(name) for name in GROUPS if name in wanted.groups]
    # Groups are numbered in their order, so that what follows compares numbers, and a null is as good as any other key.
    group = func.dense_rank().over(order_by=[GROUPS[name] for name in GROUPS if name in wanted.groups] or None).label("group")
    some = select(Series.id, *keys, group).select_from(Series).join(Gpu).join(Metric).where(*wanted.filter.conditions())
    series = some.cte("wanted").prefix_with("MATERIALIZED")
    by = [series.c[name] for name in GROUPS if name in wanted.groups]
    own = Sample.series_id == series.c.id
    start = _bucket(wanted.step) if wanted.step else null().label("timestamp")
    rows = select(start, *by, aggregated(wanted.aggregate).label("value"), func.count().label("readings"))
    best: Any = None
    if wanted.top is not None:
        overall = aggregated(wanted.aggregate).label("overall")
        ranked = select(series.c.group, overall).join_from(series, Sample, own).where(wanted.span.holds(Sample.ts))
        ranked = ranked.group_by(series.c.group).order_by(desc(overall), series.c.group).limit(wanted.top)
        best = ranked.cte("best").prefix_with("MATERIALIZED")
        rows = rows.add_columns(best.c.overall).group_by(best.c.overall)
        rows = rows.join_from(series, best, best.c.group == series.c.group).join(Sample, own)
    else:
        rows = rows.join_from(series, Sample, own)
    # Without groups and steps there would be a row of no readings too.
    rows = rows.where(wanted.span.holds(Sample.ts)).group_by(*([start] if wanted.step else []), *by).having(func.count() > 0)
    found = rows.subquery()
    columns: list[Any] = [cast(found.c.timestamp, Sample.ts.type).label("timestamp")]
    columns += [found.c[name] if name in wanted.groups else null().cast(Text).label(name) for name in GROUPS]
    columns += [found.c.value, found.c.readings]
    order = [found.c.timestamp, *([desc(found.c.overall)] if best is not None else []), *(found.c[each.key] for each in by)]
    return select(*columns).order_by(*order).limit(most).offset(offset or None)


def aggregated(name: Aggregate) -> ColumnElement[Any]:
    """An aggregate of sample values."""
    match name:
        case "avg":
            # Not Postgres' own: that adds up squares too, and so fails on values it could well have the mean of.
            return func.sum(Sample.value) / func.count()
        case "min" | "max" | "sum":
            return getattr(func, name)(Sample.value)  # type: ignore[no-any-return]
        case "count":
            return cast(func.count(), Double)
        case "last":
            # The largest of (time, series, value): it takes the memory of one. A float has room for microseconds.
            each = array([func.date_part("epoch", Sample.ts), cast(Sample.series_id, Double), Sample.value])
            return func.max(each, type_=ARRAY(Double))[3]
    return func.percentile_cont(int(name[1:]) / 100).within_group(Sample.value)


def _series(wanted: Wanted) -> CTE:
    # Materialised, so that labels become text once for each series and not for each row.
    return (
        select(Series.id, Metric.name.label("metric"), Metric.unit, cast(Series.labels, Text).label("labels"))
        .join(Metric)
        .where(Series.gpu_id == wanted.gpu_id, *([Metric.name.in_(wanted.metrics)] if wanted.metrics else []))
        .cte("wanted")
        .prefix_with("MATERIALIZED")
    )


def _bucket(step: timedelta) -> Any:
    return func.date_bin(step, Sample.ts, cast(ORIGIN, Sample.ts.type)).label("timestamp")
