"""What there is: GPUs, hosts, metrics."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    asc,
    desc,
    distinct,
    exists,
    false,
    func,
    inspect,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from telemetry.store.models import Gpu, GpuJoin, Metric, Series
from telemetry.store.read.filters import Some, among, equal
from telemetry.store.read.history.selection import Span
from telemetry.store.read.history.stored import outermost
from telemetry.store.read.owned import OwnerFilter
from telemetry.store.read.silence import is_silent, last_seen, seconds_since

# fmt: off
GpuSort = Literal[
    "host", "-host", "model", "-model", "driver", "-driver", "id", "-id",
    "first_seen", "-first_seen", "last_seen", "-last_seen",
]
# fmt: on
SORTS: dict[str, Any] = {
    "host": Gpu.host,
    "model": Gpu.model,
    "driver": Gpu.driver_version,
    "first_seen": Gpu.first_seen,
    "id": Gpu.identity,
    "last_seen": last_seen(),
}
# Up to nine digits, so that it fits the column.
INDEX = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class GpuFilter:
    """Some GPUs. A field without a value leaves all of them in.

    `seen_since`: those with a reading from then on; with an owner, those that it had since then, to the minute. `silent_for`:
    those without a reading for so long. `numbers`: those whose numbers a statement selects.
    """

    host: Some = None
    model: Some = None
    driver: Some = None
    namespace: Some = None
    pod: Some = None
    user: Some = None
    account: Some = None
    job: Some = None
    seen_since: datetime | None = None
    silent_for: timedelta | None = None
    numbers: Select[Any] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Conditions on gpus."""
        own = [
            not_joined(),
            *among(Gpu.host, self.host),
            *among(Gpu.model, self.model),
            *among(Gpu.driver_version, self.driver),
        ]
        own += is_silent(last_seen(), Gpu.first_seen, self.silent_for)
        own += [] if self.numbers is None else [Gpu.id.in_(self.numbers)]
        owners = OwnerFilter.of(self)
        if owners.is_open and self.seen_since is None:
            return own
        had = owners.had(self.seen_since, None)
        series: Select[Any] = select(literal_column("1")).select_from(Series).where(Series.gpu_id == Gpu.id, had)
        if self.seen_since is not None:
            recent = outermost(Series.id, "last", Span(start=self.seen_since))
            series = series.join(recent, true())
        return [*own, exists(series)]


def not_joined() -> ColumnElement[bool]:
    """The condition that a GPU is none that is known to be another one, with a UUID."""
    return ~exists().where(GpuJoin.gpu_id == Gpu.id)


def gpu_columns() -> list[Any]:
    """A GPU as readers see it: every column of its table but the number, and the identity under the name `id`."""
    names = [name for name in inspect(Gpu).column_attrs.keys() if name != "id"]  # noqa: SIM118 - it iterates over attributes
    return [getattr(Gpu, name).label("id" if name == "identity" else name) for name in names]


def gpus(some: GpuFilter, sort: GpuSort = "host") -> Select[Any]:
    """GPUs in an order, ties by host, index and id."""
    column = SORTS[sort.lstrip("-")]
    first = desc(column) if sort.startswith("-") else asc(column)
    return select(*gpu_columns(), *_silence()).where(*some.conditions()).order_by(first, Gpu.host, Gpu.index, Gpu.identity)


def gpus_counted(some: GpuFilter) -> Select[Any]:
    """How many GPUs there are."""
    return select(func.count()).select_from(Gpu).where(*some.conditions())


def gpu(name: str) -> Select[Any]:
    """The GPU of a UUID or of host:index (the one that appeared last there): `id`, and its number in the database, `gpu_id`."""
    return _named(select(Gpu.id.label("gpu_id"), Gpu.identity.label("id")), name)


def gpu_shown(name: str) -> Select[Any]:
    """The same GPU as readers see it. Since when it is silent may take longer to tell than all that is asked of it."""
    return _named(select(*gpu_columns(), *_silence()), name)


def _named(rows: Any, name: str) -> Select[Any]:
    host, colon, index = name.rpartition(":")
    at_index = colon and INDEX.fullmatch(index)
    seen_there = and_(Gpu.host == host, Gpu.index == int(index)) if at_index else false()
    matches: Select[Any] = rows.where(not_joined(), or_(Gpu.identity == name, seen_there))
    return matches.order_by(desc(Gpu.identity == name), desc(Gpu.id)).limit(1)


def gpu_metrics(gpu_id: int) -> Select[Any]:
    """The metrics of a GPU, by name, with the times of the first and the last reading."""
    first, last = outermost(Series.id, "first").alias("first"), outermost(Series.id, "last").alias("last")
    columns: list[Any] = [
        *(Metric.name, Metric.unit, Metric.description, Metric.kind, func.count().label("series")),
        *(func.min(first.c.ts).label("first_reading"), func.max(last.c.ts).label("last_reading")),
    ]
    return (
        select(*columns)
        .select_from(Series)
        .join(Metric)
        .outerjoin(first, true())
        .outerjoin(last, true())
        .where(Series.gpu_id == gpu_id)
        .group_by(Metric.id)
        .order_by(Metric.name)
    )


def _silence() -> list[Any]:
    seen = last_seen()
    return [seen.label("last_seen"), seconds_since(seen).label("silent_for_s")]


def hosts(name: str | None = None, silent_for: timedelta | None = None, names: Select[Any] | None = None) -> Select[Any]:
    """Hosts by name, or the one of a name, with how many GPUs of which models. A host is silent if all its GPUs are.

    `names`: those that a statement selects.
    """
    gpus = select(Gpu.host, Gpu.model, Gpu.first_seen, last_seen().label("last_seen"))
    gpus = gpus.where(not_joined(), Gpu.host.is_not(None), *equal((Gpu.host, name)))
    of = (gpus if names is None else gpus.where(Gpu.host.in_(names))).subquery().c
    models = func.string_agg(distinct(of.model), aggregate_order_by(literal_column("', '"), of.model))
    first, last = func.min(of.first_seen), func.max(of.last_seen)
    columns: list[Any] = [of.host.label("name"), func.count().label("gpus"), models.label("models"), first.label("first_seen")]
    rows = select(*columns, last.label("last_seen"), seconds_since(last).label("silent_for_s"))
    return rows.group_by(of.host).having(and_(true(), *is_silent(last, first, silent_for))).order_by(of.host)


def metrics(name: str | None = None) -> Select[Any]:
    """Metrics by name, or the one of a name, with how many series there are of each."""
    series = select(func.count()).where(Series.metric_id == Metric.id).scalar_subquery()
    rows = select(Metric.name, Metric.unit, Metric.description, Metric.kind, series.label("series"))
    return rows.where(*equal((Metric.name, name))).order_by(Metric.name)
