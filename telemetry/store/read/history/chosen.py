"""The values that a question about the fleet aggregates: of which series, each with its group, and what came before it.

A value is a sample, or is derived from the samples of one GPU (or MIG instance) at one time. Where owners matter, a sample is
of the group of whoever had the GPU at its time. How values are aggregated is `fleet`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from operator import add, eq, ge, gt, le, lt, ne
from typing import Any, Literal, NamedTuple

from sqlalchemy import CTE, ColumnElement, Double, Subquery, and_, cast, func, or_, select, true

from telemetry.readings.aggregates import LABEL, OVER_TIME, FleetAggregate
from telemetry.readings.derived import Formula
from telemetry.readings.owners import OWNER_LABELS
from telemetry.store.models import Gpu, Metric, Owner, Series
from telemetry.store.read import edges_of_gpus
from telemetry.store.read.edges_of_gpus import EDGES
from telemetry.store.read.history.mig import counted_once
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.history.stored import samples_of
from telemetry.store.read.owned import OF_SERIES, PARTS, instance, names_owner, windows

# The columns of groups, in the order of an answer. `index` is no group of its own, it comes with a GPU.
COLUMNS: dict[str, Any] = {
    **edges_of_gpus.COLUMNS,
    "host": Gpu.host,
    "gpu": Gpu.identity,
    "index": Gpu.index,
    "model": Gpu.model,
}
# What is shown of a GPU where it is a group.
OF_GPU = frozenset({"host", "index", "model"})
# In the order of an answer; labels follow.
NAMES = (*COLUMNS, *PARTS)
OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq, "!=": ne}
# Readings of one series that are further apart have a gap between them.
BRIDGE = timedelta(minutes=10)


class Condition(NamedTuple):
    """A comparison of a column, `value` or `readings`, with a number."""

    column: Literal["value", "readings"]
    operator: str
    number: float

    def on(self, columns: Any) -> ColumnElement[bool]:
        """The condition on columns of those names."""
        condition: ColumnElement[bool] = OPERATORS[self.operator](columns[self.column], self.number)
        return condition


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregate of some series over a span: by which groups, in which steps (None: one), of the best groups alone.

    `formula`: of the values that it gives, instead of those of one metric. `where` is about readings, `having` about rows of
    the answer. `top` and `bottom`: only so many groups, those with the largest or the smallest value over the span. `sort` is
    a column that rows are ordered by before all others, `-` before it the other way round.
    """

    filter: SeriesFilter
    span: Span
    groups: Sequence[str] = ()
    aggregate: FleetAggregate = "avg"
    step: timedelta | None = None
    top: int | None = None
    bottom: int | None = None
    formula: Formula | None = None
    where: Sequence[Condition] = ()
    having: Sequence[Condition] = ()
    buckets: Sequence[float] = ()
    sort: str | None = None
    bridge: timedelta = BRIDGE
    owner_labels: Collection[str] = field(default=OWNER_LABELS)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that readings are grouped by: the groups, and with a GPU what tells which one it is."""
        names = {*self.groups, *(OF_GPU if "gpu" in self.groups else ())}
        labels = dict.fromkeys(name for name in self.groups if name.startswith(LABEL))
        return (*(name for name in NAMES if name in names), *labels)

    @property
    def of_owner(self) -> bool:
        """Whether readings are grouped by who used a GPU."""
        return any(name in PARTS or name.removeprefix(LABEL) in self.owner_labels for name in self.groups)

    @property
    def by_time(self) -> bool:
        """Whether the owner of a sample matters, which its time tells."""
        by_label = any(name in self.owner_labels for name, _ in self.filter.labels)
        return self.of_owner or by_label or not self.filter.owners.is_open

    @property
    def is_over_time(self) -> bool:
        """Whether the reading before matters."""
        return self.aggregate in OVER_TIME

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the answer."""
        bounds = ("low", "high") if self.aggregate == "histogram" else ()
        return (*(["timestamp"] if self.step else []), *self.keys, *bounds, "value", "readings")

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it asks about."""
        grouped = [name.removeprefix(LABEL) for name in self.groups if name.startswith(LABEL)]
        return tuple(dict.fromkeys((*grouped, *(name for name, _ in self.filter.labels))))


def series(asked: Aggregation) -> CTE:
    """The series, with their group's columns and its number, and in which time each is of that group, if time matters.

    `of` is the number that its values go under: its own, or one of all series that a formula needs of a GPU or instance.
    """
    columns: dict[str, Any] = COLUMNS | {f"{LABEL}{name}": Series.labels[name].astext for name in asked.labels}
    of_time, among = list[Any](), select(Series.id).select_from(Series).join(Gpu).join(Metric)
    if not edges_of_gpus.COLUMNS.keys().isdisjoint(asked.groups):
        among = among.outerjoin(EDGES, EDGES.c.gpu_id == Gpu.id)
    if asked.by_time:
        some = asked.filter.owners
        of_owner = {f"{LABEL}{name}": Owner.labels[name].astext for name in asked.labels if name in asked.owner_labels}
        held = windows(some, asked.span.start, asked.span.end, PARTS | of_owner)
        columns |= {name: func.coalesce(OF_SERIES.get(name), held.c[name]) for name in PARTS}
        columns |= {name: func.coalesce(columns[name], held.c[name]) for name in of_owner}
        is_of = and_(held.c.gpu_id == Series.gpu_id, held.c.instance == instance(), ~names_owner())
        among = among.outerjoin(held, is_of).where(*some.on(columns))
        of_time = [held.c.low, held.c.high]
    keys = [columns[name] for name in asked.keys]
    # Groups are numbered in their order. What follows then compares numbers, and null is a key like any other.
    group = func.dense_rank().over(order_by=keys or None).label("group")
    of = func.min(Series.id).over(partition_by=[Series.gpu_id, instance()]) if asked.formula else Series.id
    labelled = [key.label(name) for name, key in zip(asked.keys, keys, strict=True)]
    once = counted_once(asked.filter, asked.span, instances=asked.of_owner)
    labels = asked.filter.of_labels({name: columns[f"{LABEL}{name}"] for name in asked.labels})
    rows = among.add_columns(*labelled, group, of.label("of"), Metric.name.label("metric"), *of_time)
    return rows.where(*asked.filter.conditions(), once, *labels).cte("selected").prefix_with("MATERIALIZED")


def values(asked: Aggregation, chosen: CTE) -> Subquery:
    """The values in the span: `group` and its columns, `of`, `ts`, `value`, and over time `before` and `length_s`."""
    names = [chosen.c[name] for name in (*asked.keys, "group", "of")]
    if not asked.is_over_time and not asked.formula:
        sample = samples_of(chosen.c.id, asked.span)
        rows = select(*names, sample.c.ts, sample.c.value).join_from(chosen, sample, _in_time(asked, chosen, sample.c.ts))
        return rows.where(*(each.on(sample.c) for each in asked.where)).subquery()
    points = _points(asked, chosen)
    if asked.is_over_time:
        of, ts, value = points.c.of, points.c.ts, points.c.value
        before_ts, before = (func.lag(column).over(partition_by=of, order_by=ts) for column in (ts, value))
        length_s = cast(func.extract("epoch", ts - before_ts), Double)
        points = select(of, ts, value, before.label("before"), length_s.label("length_s")).subquery()
    shown = [points.c[name] for name in ("ts", "value", *(("before", "length_s") if asked.is_over_time else ()))]
    rows = select(*names, *shown).join_from(
        chosen, points, and_(points.c.of == chosen.c.id, _in_time(asked, chosen, points.c.ts))
    )
    return rows.where(asked.span.holds(points.c.ts), *(each.on(points.c) for each in asked.where)).subquery()


def _in_time(asked: Aggregation, chosen: CTE, ts: Any) -> ColumnElement[bool]:
    """The condition that a time is one in which a row of `series` has its group."""
    if not asked.by_time:
        return true()
    low, high = chosen.c.low, chosen.c.high
    return and_(or_(low.is_(None), ts >= low), or_(high.is_(None), ts < high))


def _points(asked: Aggregation, chosen: CTE) -> Subquery:
    """Values by `of` and time, from a bridge before the span on where the reading before matters."""
    start = asked.span.start - asked.bridge if asked.is_over_time and asked.span.start else asked.span.start
    # A series may be there several times, for each time that somebody had its GPU.
    ids = select(chosen.c.id, chosen.c.of, chosen.c.metric).distinct().subquery()
    sample = samples_of(ids.c.id, Span(start, asked.span.end))
    samples = select(ids.c.of, sample.c.ts).join_from(ids, sample, true())
    if asked.formula is None:
        return samples.add_columns(sample.c.value).subquery()
    of_metric = {name: func.max(sample.c.value).filter(ids.c.metric == name) for name in asked.formula.metrics}
    over = _sum([of_metric[name] for name in asked.formula.over])
    under = _sum([of_metric[name] for name in asked.formula.under]) if asked.formula.under else None
    # Of a type that is not known SQLAlchemy divides by a numeric, which has 15 digits of a float.
    value = over if under is None else over / func.nullif(under, 0.0, type_=Double)
    derived = samples.add_columns(value.label("value")).group_by(ids.c.of, sample.c.ts).subquery()
    return select(derived).where(derived.c.value.is_not(None)).subquery()


def _sum(terms: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return reduce(add, terms)
