"""Whose a GPU was: conditions on owners, and an owner's time as windows that samples lie in.

A series that names its own owner (made before revision 0009, or by a collector of before) is its owner's for all of time. Of
all others the owner is found by time, in `allocations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    and_,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZMULTIRANGE

from telemetry.readings.tellers import TOLD_BY
from telemetry.store.models import Allocation, Owner, Series
from telemetry.store.read.filters import Some, among

# The parts of an owner. A series of before has columns for the first three.
PARTS: dict[str, Any] = {
    "namespace": Owner.namespace,
    "pod": Owner.pod,
    "container": Owner.container,
    "job": Owner.job,
    "user": Owner.user,
    "account": Owner.account,
}
OF_SERIES: dict[str, Any] = {"namespace": Series.namespace, "pod": Series.pod, "container": Series.container}
IS_SOMEBODY = Owner.labels != cast(literal("{}"), JSONB)


def is_told(labels: Any) -> ColumnElement[bool]:
    """Whether a scheduler tells of an owner: of several at a time those count first that readings name."""
    condition: ColumnElement[bool] = labels.has_key(TOLD_BY)
    return condition


def names_owner(series: Any = Series) -> ColumnElement[bool]:
    """The condition that a series names its owner."""
    return or_(series.namespace.is_not(None), series.pod.is_not(None), series.container.is_not(None))


def instance(series: Any = Series) -> ColumnElement[str]:
    """The MIG instance that a series is of, as allocations have it."""
    return func.coalesce(series.mig_instance, "")


@dataclass(frozen=True, slots=True)
class OwnerFilter:
    """Some owners. A field without a value leaves all of them in."""

    namespace: Some = None
    pod: Some = None
    user: Some = None
    account: Some = None
    job: Some = None

    @classmethod
    def of(cls, other: Any) -> OwnerFilter:
        """The same fields of another filter."""
        return cls(**{field.name: getattr(other, field.name) for field in fields(cls)})

    @property
    def is_open(self) -> bool:
        """Whether it leaves all owners in."""
        return not any(getattr(self, field.name) for field in fields(self))

    def on(self, columns: Any) -> list[ColumnElement[bool]]:
        """Conditions on columns of these names."""
        return [each for field in fields(self) for each in among(columns[field.name], getattr(self, field.name))]

    def on_owners(self) -> list[ColumnElement[bool]]:
        """Conditions on owners."""
        return self.on(PARTS)

    def had(self, start: datetime | None, end: datetime | None, series: Any = Series) -> ColumnElement[bool]:
        """The condition that a series' GPU or instance was one of theirs at some time in a span, to the minute."""
        if self.is_open:
            return true()
        held = exists().where(
            Allocation.gpu_id == series.gpu_id,
            Allocation.instance == instance(series),
            Allocation.owner_id == Owner.id,
            *between(start, end),
            *self.on_owners(),
        )
        if self.user or self.account or self.job:
            return and_(~names_owner(series), held)
        named = [*among(series.namespace, self.namespace), *among(series.pod, self.pod)]
        return or_(and_(names_owner(series), *named), and_(~names_owner(series), held))


def day(moment: datetime) -> date:
    """The day of UTC that a time lies in."""
    return moment.astimezone(UTC).date()


def between(start: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    """Conditions on allocations: those of a span, both ends included, to the minute."""
    after = [Allocation.day >= day(start), func.upper(Allocation.held) > start] if start else []
    before = [Allocation.day <= day(end), func.lower(Allocation.held) <= end] if end else []
    return [*after, *before]


def holders(gpu_id: int, start: datetime | None, end: datetime | None) -> CTE:
    """Who had a GPU in a span, a row for each day, instance and owner."""
    rows = select(Allocation.instance, Allocation.day, Allocation.held, Allocation.owner_id, Owner.labels)
    rows = rows.join(Owner, Owner.id == Allocation.owner_id)
    return rows.where(Allocation.gpu_id == gpu_id, IS_SOMEBODY, *between(start, end)).cte("holders").prefix_with("MATERIALIZED")


def windows(some: OwnerFilter, start: datetime | None, end: datetime | None, parts: Mapping[str, Any]) -> CTE:
    """Who had which GPU or instance when: `gpu_id`, `instance`, columns of the owner by their names, [`low`, `high`).

    The time that nobody had it is there with null for the owner, unless some owners are asked for. A GPU or instance without
    any allocation in the span is not there at all.
    """
    columns = [column.label(part) for part, column in parts.items()]
    held = (
        select(Allocation.gpu_id, Allocation.instance, *columns, func.unnest(Allocation.held).label("span"))
        .join(Owner, Owner.id == Allocation.owner_id)
        .where(IS_SOMEBODY, *between(start, end), *some.on_owners())
        .cte("held")
        .prefix_with("MATERIALIZED")
    )
    names = [held.c[part] for part in parts]
    low, high = func.lower(held.c.span).label("low"), func.upper(held.c.span).label("high")
    used = select(held.c.gpu_id, held.c.instance, *names, low, high)
    if not some.is_open:
        return used.cte("windows")
    always = cast(literal("{(,)}"), TSTZMULTIRANGE)
    span = func.unnest(always - func.range_agg(held.c.span)).label("span")
    free = select(held.c.gpu_id, held.c.instance, span).group_by(held.c.gpu_id, held.c.instance).cte("free")
    low, high = func.lower(free.c.span).label("low"), func.upper(free.c.span).label("high")
    nobody = [null().label(part) for part in parts]
    return union_all(used, select(free.c.gpu_id, free.c.instance, *nobody, low, high)).cte("windows")
