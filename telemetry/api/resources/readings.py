"""`/gpus/{id}/telemetry`: the readings of one GPU, raw or aggregated in steps."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.parameters import Step, Text, Whole
from telemetry.api.core.problems import bad_parameter
from telemetry.api.core.queries import Followed, Spanned
from telemetry.api.operations import listing
from telemetry.readings.aggregates import Aggregate
from telemetry.store.read.history import readings
from telemetry.store.read.history.selection import Span
from telemetry.store.read.places import Order, Place
from telemetry.store.read.sealed import paths

MAX_LIMIT = 100_000
ENDS = {"timestamp": cursors.moment, "metric": cursors.name, "series": cursors.whole}

blueprint = Blueprint("readings", __name__)


class Reading(BaseModel):
    """A reading, or an aggregate of those in a step. `value` is null where JSON cannot write it, such as NaN."""

    timestamp: datetime
    gpu: str
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]


class Readings(Continued[Reading]):
    """A page of readings. `next_cursor` goes on where the page ended, at no extra cost; it is null at the end."""

    gpu: str


class ReadingQuery(Spanned, Followed):
    """Which readings, in which order."""

    default_limit: ClassVar[int] = 1000

    metric: tuple[Text, ...] = Field((), max_length=50, description="only of these metrics; may be repeated")
    step: Step | None = Field(None, description="aggregate readings in steps of this length, such as 5m")
    agg: Aggregate | None = Field(None, description="how the readings of a step become one value; avg if not given")
    order: Order = Field("asc", description="by time, ascending or descending")
    limit: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows at most; if not given, 1000 in JSON, all otherwise")
    page_size: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows of a page; another way to give limit")

    def model_post_init(self, context: Any) -> None:
        """Check that the parameters fit together."""
        super().model_post_init(context)
        if self.agg and not self.step:
            raise bad_parameter("agg", "agg needs step, the length of time that each aggregate covers, such as step=5m")


@listing(blueprint, "/gpus/<path:gpu>/telemetry", Readings, ReadingQuery, codes=("gpu_not_found", "metric_not_found"))
def list_telemetry(query: ReadingQuery, page: Page, gpu: str) -> Table:
    """The readings of one GPU in order of time, ties in order of metric and series.

    With step they are aggregated: one row for each step and metric that has readings, over all its series. Steps begin at
    multiples of their length since 1970; only readings within the span count.
    """
    row = lookups.gpu(gpu)
    page = page.about(row["id"])
    place = page.after(ENDS)
    lookups.check(metrics=query.metric)
    asked = readings.GpuReadings(
        gpu_id=row["gpu_id"],
        gpu=row["id"],
        span=Span(query.start_time, query.end_time),
        metrics=query.metric,
        order=query.order,
        after=Place(place[0], place[1:]) if place else None,
    )
    if query.step:
        in_steps = asked, query.step, query.agg or "avg"
        rows, reader = partial(readings.steps, *in_steps), paths.of_steps(*in_steps, page.rows_needed)
    else:
        rows, reader = partial(readings.readings, asked, page.rows_needed), paths.of_raw(asked, page.rows_needed)
    return Table(Reading, rows, page, ends=ENDS, around={"gpu": row["id"]}, reader=reader)
