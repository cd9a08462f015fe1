"""What is now: the latest reading of each GPU and metric within a maximum age, whose the GPU is, and what came since.

Which series may have such a reading is asked of `allocations`, where every minute of a GPU is that was read: so series that are
dead cost nothing, however many there are. Series of owners, made before revision 0009, count while their owner has the GPU, and
all series of GPUs of which no allocation was ever written, as a collector of before writes none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

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
    exists,
    func,
    literal,
    or_,
    select,
    true,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, distinct_on

from telemetry.readings.owners import OWNER_LABELS
from telemetry.store.models import Allocation, Gpu, Metric, Owner, Sample, Series
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.history.stored import outermost
from telemetry.store.read.owned import IS_SOMEBODY, OwnerFilter, instance, is_told, names_owner

ANYBODY = OwnerFilter()
NO_LABELS = cast(literal("{}"), JSONB)


# To build it takes longer than to run it, and open pages ask for the same one several times a second.
@lru_cache(maxsize=64)
def latest(some: SeriesFilter, max_age: timedelta) -> Select[Any]:
    """The latest reading of each GPU (or MIG instance, or link) and metric within an age, by host, index and metric."""
    since = func.now() - max_age
    last = _last(Series.id, since)
    owner = owner_at(last.c.ts, some.owners)
    lasting = _without_owner(Series.labels)
    newest = (
        _described(some, since)
        .add_columns(last.c.ts.label("timestamp"), last.c.value, owner.label("of"))
        .join(last, true())
        .where(*is_owned(some.owners, last.c.ts))
        .ext(distinct_on(Gpu.id, Metric.id, lasting))
        .order_by(Gpu.id, Metric.id, lasting, desc(last.c.ts), desc(Series.id))
        .subquery()
        .c
    )
    names = ("series", "timestamp", "gpu", "host", "index", "model", "metric", "value", "unit")
    said = (cast(newest.said.op("||")(newest.of), Text).label("labels"), cast(newest.of, Text).label("owner"))
    order = (newest.host, newest.index, newest.gpu, newest.metric, newest.series)
    return select(*(newest[name] for name in names), *said).order_by(*order)


def exported(horizon: timedelta) -> Select[Any]:
    """The latest reading of each series within an age, the newest first, with every column of its GPU and metric."""
    last = _last(Series.id, func.now() - horizon)
    living = alive(func.now() - horizon)
    age_s = cast(func.extract("epoch", func.clock_timestamp() - last.c.ts), Double).label("age_s")
    columns = (*Gpu.__table__.c, Metric.name, Metric.kind, Metric.description, age_s, last.c.value)
    labels = Series.labels.op("||")(owner_at(last.c.ts, ANYBODY)).label("labels")
    rows = select(*columns, labels).select_from(Series).join(living, living.c.id == Series.id).join(Gpu).join(Metric)
    return rows.join(last, true()).order_by(desc(last.c.ts))


def series(some: SeriesFilter, max_age: timedelta) -> Select[Any]:
    """Series that may have a reading within an age, with all that one says except its time, its value and its owner."""
    rows = _described(some, func.now() - max_age)
    if not some.owners.is_open:
        rows = rows.where(some.owners.had(None, None))
    return rows.order_by(Gpu.host, Gpu.index, Gpu.identity, Metric.name, Series.id)


def newer(seen: Mapping[int, datetime], owners: OwnerFilter = ANYBODY) -> Select[Any]:
    """The latest reading of each series that has one after the time given for it.

    Its columns are `series`, `timestamp`, `value`, and as texts `labels` and `owner`.
    """
    ids, times = literal(list(seen), ARRAY(BigInteger)), literal(list(seen.values()), ARRAY(Sample.ts.type))
    before = func.unnest(ids, times).table_valued("id", "since", name="seen").render_derived()
    last = _last(before.c.id, before.c.since)
    owner = owner_at(last.c.ts, owners)
    columns = (before.c.id.label("series"), last.c.ts.label("timestamp"), last.c.value)
    rows = select(*columns, Series.labels.label("said"), owner.label("of")).join_from(before, last, true())
    read = rows.join(Series, Series.id == before.c.id).where(*is_owned(owners, last.c.ts)).subquery().c
    said = (cast(read.said.op("||")(read.of), Text).label("labels"), cast(read.of, Text).label("owner"))
    return select(read.series, read.timestamp, read.value, *said)


def alive(since: Any) -> CTE:
    """The series that may have a reading after a time, as `id`."""
    read = (
        select(Allocation.gpu_id, Allocation.owner_id)
        .where(Allocation.day >= _day(since), func.upper(Allocation.held) > since)
        .distinct()
        .cte("read")
        .prefix_with("MATERIALIZED")
    )
    unknown = select(Gpu.id).where(~exists().where(Allocation.gpu_id == Gpu.id)).cte("unknown").prefix_with("MATERIALIZED")
    gpus = union(select(read.c.gpu_id), select(unknown.c.id)).subquery()
    of_read = select(Series.id).join(read, read.c.gpu_id == Series.gpu_id).join(Owner, Owner.id == read.c.owner_id)
    of_read = of_read.where(Series.of_owner, IS_SOMEBODY, Series.labels.contains(Owner.labels))
    pod = Owner.labels["pod"].astext
    parts = (
        select(Series.id).join(gpus, gpus.c.gpu_id == Series.gpu_id).where(~Series.of_owner),
        of_read.where(Series.pod == pod),
        of_read.where(Series.pod.is_(None), pod.is_(None)),
        select(Series.id).join(unknown, unknown.c.id == Series.gpu_id).where(Series.of_owner),
    )
    return union_all(*parts).cte("alive")


def _described(some: SeriesFilter, since: Any) -> Select[Any]:
    columns: list[Any] = [
        *(Series.id.label("series"), Gpu.identity.label("gpu"), Gpu.host, Gpu.index.label("index"), Gpu.model),
        *(Metric.name.label("metric"), Metric.unit, Series.labels.label("said")),
    ]
    living = alive(since)
    rows = select(*columns).select_from(Series).join(living, living.c.id == Series.id).join(Gpu).join(Metric)
    return rows.where(*some.conditions())


def _last(series_id: Any, since: Any) -> Any:
    """The last sample of a series after a time."""
    last = outermost(series_id, "last", Span(start=since))
    return select(last.c.ts, last.c.value).where(last.c.ts > since).lateral()


def _held_at(ts: Any) -> list[ColumnElement[bool]]:
    """Conditions on allocations: they hold the GPU or instance of a series at a time."""
    at = cast(ts, TIMESTAMP(timezone=True))
    same = [Allocation.gpu_id == Series.gpu_id, Allocation.instance == instance(), Allocation.owner_id == Owner.id]
    return [*same, Allocation.day == _day(ts), Allocation.held.op("@>")(at), IS_SOMEBODY]


def owner_at(ts: Any, some: OwnerFilter) -> ColumnElement[Any]:
    """The labels of the owner at a time: of several one that readings name, who has the GPU longest, and then the newest."""
    held = select(Owner.labels).where(*_held_at(ts), *some.on_owners())
    place = (desc(func.upper(Allocation.held)), desc(func.lower(Allocation.held)), desc(Owner.id))
    held = held.order_by(is_told(Owner.labels), *place).limit(1)
    pair = func.jsonb_each(Series.labels).table_valued("key", "value")
    own = select(func.jsonb_object_agg(pair.c.key, pair.c.value)).where(pair.c.key.in_(OWNER_LABELS))
    return func.coalesce(own.scalar_subquery(), held.correlate_except(Allocation, Owner).scalar_subquery(), NO_LABELS)


def is_owned(some: OwnerFilter, ts: Any) -> list[ColumnElement[bool]]:
    """The condition that a reading at a time is of some owners."""
    if some.is_open:
        return []
    held = exists().where(*_held_at(ts), *some.on_owners()).correlate_except(Allocation, Owner)
    return [or_(held, and_(names_owner(), some.had(None, None)))]


def _without_owner(labels: Any) -> Any:
    return labels.op("-")(cast(literal(list(OWNER_LABELS), ARRAY(Text)), ARRAY(Text)))


def _day(ts: Any) -> Any:
    return func.date(func.timezone("UTC", ts))
