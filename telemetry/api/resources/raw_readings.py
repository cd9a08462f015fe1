"""`/readings`: the raw readings of many GPUs in one call."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import ClassVar

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.parameters import Text, Whole
from telemetry.api.core.queries import Followed, Many, OnGpus, Spanned, some
from telemetry.api.operations import listing
from telemetry.store.read.history import raw
from telemetry.store.read.history.selection import SeriesFilter
from telemetry.store.read.places import Order, Place
from telemetry.store.read.sealed import paths

MAX_LIMIT = 100_000
ENDS = {"timestamp": cursors.moment, "series": cursors.whole}

blueprint = Blueprint("raw_readings", __name__)


class FleetReading(BaseModel):
    """A reading. `value` is null where JSON cannot write it, such as NaN.

    `owner` has the labels that say who used the GPU then: none if nobody did, of several owners those of one. `labels` has
    them too.
    """

    timestamp: datetime
    gpu: str
    host: str | None
    index: int | None
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]
    owner: dict[str, str]


class RawQuery(OnGpus, Spanned, Followed):
    """Which readings, in which order."""

    default_limit: ClassVar[int] = 1000

    gpu: Many = some("only of this GPU: UUID or host:index")
    metric: tuple[Text, ...] = Field((), max_length=50, description="only of these metrics; may be repeated")
    order: Order = Field("asc", description="by time, ascending or descending")
    limit: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows at most; if not given, 1000 in JSON, all otherwise")
    page_size: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows of a page; another way to give limit")


@listing(
    blueprint,
    "/readings",
    Continued[FleetReading],
    RawQuery,
    codes=("gpu_not_found", "host_not_found", "metric_not_found"),
)
def list_readings(query: RawQuery, page: Page) -> Table:
    """The raw readings of many GPUs in order of time: of the last hour before end_time, or before now, without start_time."""
    place = page.after(ENDS)
    gpu_ids = tuple(lookups.gpu(name, "gpu")["gpu_id"] for name in query.gpu)
    lookups.check(metrics=query.metric, host=query.host)
    chosen = query.filter(SeriesFilter, gpu_ids=gpu_ids, metrics=query.metric, labels=())
    asked = raw.FleetReadings(chosen, query.recent(), query.order, Place(place[0], place[1:]) if place else None)
    rows, reader = partial(raw.readings, asked, page.rows_needed), paths.of_raw_fleet(asked, page.rows_needed)
    return Table(FleetReading, rows, page, ends=ENDS, reader=reader)
