"""`/latest` and `/live`: the latest reading of each series, asked for once or pushed as it changes."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, g
from pydantic import BaseModel, Field

from telemetry.api.answers import live
from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.streams import Stream
from telemetry.api.answers.tables import Table
from telemetry.api.core import deadlines, lookups
from telemetry.api.core.connections import connections, database
from telemetry.api.core.parameters import Text, Whole
from telemetry.api.core.probes import probes
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Query, Tabular
from telemetry.api.operations import listing, operation
from telemetry.store.read.history import latest
from telemetry.store.read.history.selection import SeriesFilter

blueprint = Blueprint("latest", __name__)


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


class SeriesQuery(Query):
    """Which series."""

    host: Text | None = Field(None, description="only of this host")
    model: Text | None = Field(None, description="only of GPUs of this model")
    namespace: Text | None = Field(None, description="only of pods of this namespace")
    pod: Text | None = Field(None, description="only of this pod")
    gpu: Text | None = Field(None, description="only of this GPU: UUID or host:index")
    metric: tuple[Text, ...] = Field((), max_length=50, description="only of these metrics; may be repeated")

    def series(self) -> SeriesFilter:
        """The filter. Raises ProblemError if there is no such GPU, host or metric."""
        gpu_id = None if self.gpu is None else lookups.gpu(self.gpu, "gpu")["gpu_id"]
        lookups.check(metrics=self.metric, host=self.host)
        return self.filter(SeriesFilter, gpu_id=gpu_id, metrics=self.metric)


class LatestQuery(SeriesQuery, Tabular):
    """The latest readings of which series."""


class LiveQuery(SeriesQuery):
    """Which series, for how long."""

    seconds: Whole = Field(deadlines.LIVE_S, ge=1, le=deadlines.LIVE_S, description="end the stream after so many seconds")


@listing(blueprint, "/latest", Listed[Latest], LatestQuery, codes=("gpu_not_found", "host_not_found", "metric_not_found"))
def list_latest(query: LatestQuery, page: Page) -> Table:
    """The latest reading of each series, by host, index and metric."""
    return Table(Latest, latest.latest(query.series()), page)


@operation(
    blueprint,
    "/live",
    Latest,
    LiveQuery,
    media=("text/event-stream",),
    codes=("gpu_not_found", "host_not_found", "metric_not_found", "too_many_streams", "too_many_series"),
)
def show_live_readings(query: LiveQuery) -> Stream:
    """Server-sent events: `reading` with the latest of each series, then with every newer one; `health` when it changes."""
    watch = live.Watch(query.series(), g.get("key"), tuple(Latest.model_fields))
    if not watch.refresh(database()):
        detail = f"these are more than {live.MAX_SERIES} series; narrow them by gpu, host, model, namespace, pod or metric"
        raise ProblemError("too_many_series", detail)
    events = live.events(connections().engine, watch, probes(), query.seconds)
    return Stream(events, "text/event-stream", {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
