"""`/query` and `/latest`: questions about many GPUs at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.tables import Listed, Page, Table
from telemetry.api.core.connections import database
from telemetry.api.core.parameters import Query, Spanned, Step, Tabular, Text, Whole
from telemetry.api.operations import operation
from telemetry.api.resources import gpus
from telemetry.store.read import history

# What is aggregated when no start is given: all of history would be the surest way into the time limit.
DEFAULT_SPAN = timedelta(hours=1)

blueprint = Blueprint("fleet", __name__)


class Aggregate(BaseModel):
    """An aggregate of a group's readings in a step; `timestamp` is null without steps, as is what was not grouped by."""

    timestamp: datetime | None
    host: str | None
    gpu: str | None
    model: str | None
    namespace: str | None
    pod: str | None
    container: str | None
    value: float | None
    readings: int


class Latest(BaseModel):
    """The latest reading of a series."""

    timestamp: datetime
    gpu: str
    host: str | None
    index: int | None
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]


class Some(Query):
    """Some of the fleet."""

    host: Text | None = Field(None, description="of this host alone")
    model: Text | None = Field(None, description="of GPUs of this model alone")
    namespace: Text | None = Field(None, description="of pods of this namespace alone")
    pod: Text | None = Field(None, description="of this pod alone")


class FleetQuery(Spanned, Some, Tabular):
    """What is aggregated over which GPUs, by what."""

    metric: Text = Field(description="the metric that is aggregated")
    agg: history.Aggregate = Field("avg", description="how readings become one value")
    by: tuple[history.Group, ...] = Field((), max_length=6, description="a value for each of these; may be repeated")
    step: Step | None = Field(None, description="a value for each step of this length; one for the whole span unless told")
    top: Whole | None = Field(None, ge=1, le=1000, description="the groups with the largest value over the span, so many")


class SeriesQuery(Some):
    """Which series."""

    gpu: Text | None = Field(None, description="of this GPU alone: UUID or host:index")
    metric: tuple[Text, ...] = Field((), max_length=50, description="of these metrics alone; may be repeated")


class LatestQuery(SeriesQuery, Tabular):
    """The latest readings of which series."""


@operation(blueprint, "/query", Listed[Aggregate], FleetQuery, table=True)
def query_fleet(query: FleetQuery) -> Table:
    """One metric aggregated over the fleet: by groups, in steps, the top groups alone.

    Without start_time the last hour before end_time, or before now, is aggregated.
    """
    end = query.end_time
    start = query.start_time or _before(end or datetime.now(UTC))
    some = history.Filter(host=query.host, model=query.model, namespace=query.namespace, pod=query.pod, metrics=(query.metric,))
    wanted = history.FleetQuery(some, history.Span(start, end), query.by, query.agg, query.step, query.top)
    page = Page.of(query)
    return Table(Aggregate, lambda most: history.fleet(wanted, most, page.offset), page, query.format)


@operation(blueprint, "/latest", Listed[Latest], LatestQuery, table=True, codes=("gpu_not_found",))
def list_latest(query: LatestQuery) -> Table:
    """The latest reading of each series, by host, index and metric."""
    some = of_series(query)
    page = Page.of(query)
    return Table(Latest, lambda most: history.latest(some, most, page.offset), page, query.format)


def of_series(query: SeriesQuery) -> history.Filter:
    """The filter of a query. Raises ProblemError if there is no such GPU."""
    gpu_id = None
    if query.gpu is not None:
        gpu_id = gpus.found(database(), query.gpu).id
    return history.Filter(gpu_id, query.host, query.model, query.namespace, query.pod, query.metric)


def _before(end: datetime) -> datetime:
    try:
        return end - DEFAULT_SPAN
    except OverflowError:
        return end
