"""How much GPUs were used, by whom: hours, energy, cost. Sums of whole hours are upkeep's, the rest is summed up here.

The rest are hours that are marked, as upkeep has not been there since, and the ends of a span that are no whole hours. What the
numbers mean is said by `telemetry.store.usage_facts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Double,
    Select,
    Subquery,
    Text,
    asc,
    case,
    cast,
    column,
    desc,
    func,
    null,
    select,
    text,
)

from telemetry.readings.rates import Rates
from telemetry.store.models import Gpu, Owner
from telemetry.store.read import edges_of_gpus
from telemetry.store.read.edges_of_gpus import EDGES
from telemetry.store.read.filters import Some
from telemetry.store.read.owned import IS_SOMEBODY, PARTS, OwnerFilter
from telemetry.store.usage_facts import COLUMNS, FACTS, PARAMETERS, SUMS

UsageGroup = Literal["namespace", "pod", "container", "job", "user", "account", "cluster", "edge", "host", "gpu", "model"]
KEYS: dict[str, Any] = {
    **edges_of_gpus.COLUMNS,
    "host": Gpu.host,
    "gpu": Gpu.identity,
    "index": Gpu.index,
    "model": Gpu.model,
    **PARTS,
}
# What is shown of a GPU where it is a group.
OF_GPU = frozenset({"host", "index", "model"})
FIGURES = (
    *("held_hours", "coverage", "idle_hours", "low_use_hours", "duty_cycle", "duty_coverage", "free_hours"),
    *("energy_kwh", "energy_from", "cost", "unpriced_hours"),
)
HOUR = timedelta(hours=1)
TYPES: dict[str, Any] = {"hour": DateTime(timezone=True), "gpu_id": BigInteger(), "instance": Text(), "owner_id": BigInteger()}

SUMMED = text(f"""
    WITH those AS MATERIALIZED (
        SELECT id AS gpu_id FROM gpus
        WHERE (CAST(:hosts AS text[]) IS NULL OR host = ANY(CAST(:hosts AS text[])))
            AND (CAST(:models AS text[]) IS NULL OR model = ANY(CAST(:models AS text[])))
            AND (CAST(:gpus AS bigint[]) IS NULL OR id = ANY(CAST(:gpus AS bigint[])))
    ), marked AS MATERIALIZED (
        SELECT DISTINCT gpu_id, hour FROM usage_marks JOIN those USING (gpu_id)
        WHERE hour > CAST(:start AS timestamptz) - interval '1 hour' AND hour < :end
    ), hours AS MATERIALIZED (
        SELECT gpu_id, hour FROM marked
        UNION
        SELECT gpu_id, hour FROM usage_hours JOIN those USING (gpu_id) WHERE hour = ANY(CAST(:ends AS timestamptz[]))
    ), wanted AS MATERIALIZED (
        SELECT gpu_id, (date_part('epoch', greatest(hour, :start)) / 60)::int AS low,
               (date_part('epoch', least(hour + interval '1 hour', :end)) / 60)::int AS high
        FROM hours WHERE least(hour + interval '1 hour', :end) > greatest(hour, :start)
    ), {FACTS}
    SELECT {", ".join(COLUMNS)} FROM facts
    UNION ALL
    SELECT {", ".join(f"u.{name}" for name in COLUMNS)} FROM usage_hours u JOIN those USING (gpu_id)
    WHERE u.hour >= :start AND u.hour <= CAST(:end AS timestamptz) - interval '1 hour'
        AND NOT EXISTS (SELECT FROM marked m WHERE m.gpu_id = u.gpu_id AND m.hour = u.hour)
""")  # noqa: S608 - names of columns


@dataclass(frozen=True, slots=True)
class Use:
    """A question about usage: of which time (to the minute), by which groups, of which GPUs and owners. What counts as what.

    `idle_below` and `low_use_below` are percent of utilisation, one of the bands. Without `rates` nothing has a cost.
    """

    start: datetime
    end: datetime
    groups: Sequence[str] = ()
    host: Some = None
    model: Some = None
    gpu_ids: tuple[int, ...] = ()
    namespace: Some = None
    pod: Some = None
    job: Some = None
    user: Some = None
    account: Some = None
    idle_below: int = 5
    low_use_below: int = 25
    rates: Rates | None = None
    sort: str = "-held_hours"

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that usage is grouped by."""
        names = {*self.groups, *(OF_GPU if "gpu" in self.groups else ())}
        return tuple(name for name in KEYS if name in names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the answer."""
        return (*self.keys, *FIGURES)


def to_the_minute(moment: datetime) -> datetime:
    """The minute that a time lies in."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def usage(asked: Use) -> Select[Any]:
    """One row for each group, with the figures of the time that somebody had GPUs, and `free_hours` that nobody had them."""
    summed = _summed(asked)
    of = summed.c
    somebody = Owner.id.is_not(None) & IS_SOMEBODY

    def hours(seconds: Any, *more: Any) -> Any:
        return func.coalesce(func.sum(seconds).filter(somebody, *more), 0.0) / 3600

    below = {percent: of[f"below_{percent}_s"] for percent in (asked.idle_below, asked.low_use_below)}
    low_s = func.greatest(below[asked.low_use_below] - below[asked.idle_below], 0)
    held, known = func.sum(of.held_s).filter(somebody), func.sum(of.known_s).filter(somebody)
    is_known = known > 0
    keys = [KEYS[name].label(name) for name in asked.keys]
    counter, power = func.sum(of.counter_j), func.sum(of.power_j)
    figures = {
        "held_hours": hours(of.held_s),
        "coverage": func.sum(of.read_s).filter(somebody) / func.nullif(held, 0),
        "idle_hours": case((is_known, hours(below[asked.idle_below]))),
        "low_use_hours": case((is_known, hours(low_s))),
        "duty_cycle": func.sum(of.busy_s).filter(somebody) / func.nullif(known, 0),
        "duty_coverage": known / func.nullif(held, 0),
        "free_hours": func.coalesce(func.sum(of.held_s).filter(~somebody), 0.0) / 3600,
        "energy_kwh": case((counter + power > 0, (counter + power) / 3.6e6)),
        "energy_from": case(
            ((counter > 0) & (power > 0), "both"), (counter > 0, "counter"), (power > 0, "power"), else_=null()
        ),
        "cost": _cost(asked.rates, of, somebody),
        "unpriced_hours": hours(of.held_s, *([_rate(asked.rates).is_(None)] if asked.rates else [])),
    }
    rows = select(*keys, *(figures[name].label(name) for name in FIGURES))
    rows = rows.select_from(summed).join(Gpu, Gpu.id == of.gpu_id).join(Owner, Owner.id == of.owner_id)
    if not edges_of_gpus.COLUMNS.keys().isdisjoint(asked.keys):
        rows = rows.outerjoin(EDGES, EDGES.c.gpu_id == Gpu.id)
    rows = rows.where(*OwnerFilter.of(asked).on_owners())
    if asked.keys:
        rows = rows.group_by(*(KEYS[name] for name in asked.keys))
    answer = rows.having(func.count() > 0).subquery().c
    first = answer[asked.sort.lstrip("-")]
    order = desc(first).nulls_last() if asked.sort.startswith("-") else asc(first).nulls_last()
    return select(*(answer[name] for name in asked.columns)).order_by(order, *(answer[name] for name in asked.keys))


def _rate(rates: Rates) -> ColumnElement[Any]:
    """The price of an hour of a GPU; null if it has none."""
    others = cast(rates.per_hour_of_others, Double)
    own = [(Gpu.model == model, rate) for model, rate in rates.per_hour]
    return case(*own, else_=others) if own else others


def _cost(rates: Rates | None, of: Any, somebody: ColumnElement[bool]) -> ColumnElement[Any]:
    if rates is None:
        return cast(null(), Double)
    energy = (of.counter_j + of.power_j) / 3.6e6 * rates.per_kwh
    cost = of.held_s / 3600 * func.coalesce(_rate(rates), 0.0) + energy
    return func.coalesce(func.sum(cost).filter(somebody), 0.0)


def _summed(asked: Use) -> Subquery:
    """Sums by hour, GPU, instance and owner."""
    start, end = to_the_minute(asked.start), to_the_minute(asked.end)
    ends = {moment.replace(minute=0) for moment in (start, end) if moment.minute}
    parameters = PARAMETERS | {
        "start": start,
        "end": end,
        "ends": sorted(ends),
        "first": start - HOUR,
        "last": end,
        "hosts": _listed(asked.host),
        "models": _listed(asked.model),
        "gpus": list(asked.gpu_ids) or None,
    }
    columns = [column(name, TYPES.get(name, Double())) for name in (*COLUMNS[:4], *SUMS)]
    return SUMMED.bindparams(**parameters).columns(*columns).subquery("summed")


def _listed(some: Some) -> list[str] | None:
    return ([some] if isinstance(some, str) else list(some)) if some else None
