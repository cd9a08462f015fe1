"""`/latest` and `/live`: what is now, asked for once or pushed as it changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from flask import Blueprint, g
from pydantic import BaseModel, Field
from sqlalchemy import Double, Select, func, literal, select

from telemetry.api.answers import live
from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.streams import Stream
from telemetry.api.answers.tables import Table
from telemetry.api.core import deadlines, lookups
from telemetry.api.core.connections import connections, database
from telemetry.api.core.parameters import Step, Text, Whole
from telemetry.api.core.probes import probes
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Many, OnGpus, Tabular, some
from telemetry.api.operations import listing, operation
from telemetry.store.read.history import latest
from telemetry.store.read.history.selection import SeriesFilter

# What is older is silent.
MAX_AGE = timedelta(minutes=10)
# What is now may be so old: each page of a fleet asks for the same again and again.
LASTS_S = 0.15

Sort = Literal["host", "value", "-value", "timestamp", "-timestamp"]

blueprint = Blueprint("latest", __name__)


class Latest(BaseModel):
    """The latest reading of a GPU (or MIG instance, or link) and metric.

    `owner` has the labels that say who used the GPU then: none if nobody did, of several owners those of one. `labels` has
    them too.
    """

    timestamp: datetime
    gpu: str
    host: str | None
    index: int | None
    model: str | None
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]
    owner: dict[str, str]


class SeriesQuery(OnGpus):
    """Which series."""

    gpu: Many = some("only of this GPU: UUID or host:index")
    metric: tuple[Text, ...] = Field((), max_length=50, description="only of these metrics; may be repeated")
    max_age: Step | None = Field(None, description="only readings that are no older; 10m if not given")

    def series(self) -> SeriesFilter:
        """The filter. Raises ProblemError if there is no such GPU, host or metric."""
        gpu_ids = tuple(lookups.gpu(name, "gpu")["gpu_id"] for name in self.gpu)
        lookups.check(metrics=self.metric, host=self.host)
        return self.filter(SeriesFilter, gpu_ids=gpu_ids, metrics=self.metric, labels=())


class LatestQuery(SeriesQuery, Tabular):
    """The latest readings of which series, in which order."""

    sort: Sort = Field("host", description="host: by host, index and metric; value and timestamp: - puts the largest first")

    def ordered(self, statement: Select[Any]) -> Select[Any]:
        """The statement in this order, in that of the statement where this one says nothing. What is no number comes last."""
        if self.sort == "host":
            return statement
        rows = statement.order_by(None).subquery()
        column = rows.c[self.sort.removeprefix("-")]
        place = (rows.c.host, rows.c.index, rows.c.gpu, rows.c.metric, rows.c.series)
        number = func.nullif(column, literal("NaN").cast(Double)) if "value" in self.sort else column
        first = number.desc() if self.sort.startswith("-") else number.asc()
        return select(rows).order_by(first.nulls_last(), *place)


class LiveQuery(SeriesQuery):
    """Which series, for how long."""

    seconds: Whole = Field(deadlines.LIVE_S, ge=1, le=deadlines.LIVE_S, description="end the stream after so many seconds")


@listing(
    blueprint,
    "/latest",
    Listed[Latest],
    LatestQuery,
    codes=("gpu_not_found", "host_not_found", "metric_not_found"),
    lasts_s=LASTS_S,
)
def list_latest(query: LatestQuery, page: Page) -> Table:
    """What is now: one reading of each GPU and metric, the latest, by host, index and metric unless sorted otherwise.

    A GPU or metric without a reading within max_age is not there.
    """
    return Table(Latest, query.ordered(latest.latest(query.series(), query.max_age or MAX_AGE)), page)


@operation(
    blueprint,
    "/live",
    Latest,
    LiveQuery,
    media=("text/event-stream",),
    codes=("gpu_not_found", "host_not_found", "metric_not_found", "too_many_streams", "too_many_series"),
)
def show_live_readings(query: LiveQuery) -> Stream:
    """Server-sent events: `reading` with what is now, then with every newer reading; `health` when it changes."""
    watch = live.Watch(query.series(), query.max_age or MAX_AGE, g.get("key"), tuple(Latest.model_fields))
    if not watch.refresh(database()):
        detail = f"these are more than {live.MAX_SERIES} series; narrow them by gpu, host, model, namespace, pod or metric"
        raise ProblemError("too_many_series", detail)
    here = connections()
    events = live.events(here.engine, lambda: here.reading, watch, probes(), query.seconds)
    return Stream(events, "text/event-stream", {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
