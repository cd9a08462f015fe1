"""`/gpus/{id}/telemetry`: the readings of one GPU, raw or aggregated in steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint
from pydantic import BaseModel, Field
from sqlalchemy import Row, Select

from telemetry.api.answers import cursors
from telemetry.api.answers.tables import Continued, Page, Table
from telemetry.api.core.connections import database
from telemetry.api.core.parameters import Followed, Order, Spanned, Step, Text, Whole
from telemetry.api.core.problems import bad_parameter
from telemetry.api.operations import operation
from telemetry.api.resources import gpus
from telemetry.store.read import history

DEFAULT_LIMIT = 1000
MAX_LIMIT = 100_000

blueprint = Blueprint("readings", __name__)


class Reading(BaseModel):
    """A reading, or an aggregate of those in a step. `value` is null where JSON has no word for it, such as NaN."""

    timestamp: datetime
    gpu: str
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]


class Readings(Continued[Reading]):
    """A page of readings. `next_cursor` goes on where the page ended, at no cost; it is null at the end."""

    gpu: str


class ReadingQuery(Spanned, Followed):
    """Which readings, in which order."""

    metric: tuple[Text, ...] = Field((), max_length=50, description="of these metrics alone; may be repeated")
    step: Step | None = Field(None, description="aggregate readings in steps of this length, such as 5m")
    agg: history.Aggregate | None = Field(None, description="how readings of a step become one value; avg unless told")
    order: Order = Field("asc", description="by time, up or down")
    limit: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows at most; JSON gives 1000 unless told, others all")
    page_size: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows of a page; another way to say limit")

    def model_post_init(self, context: Any) -> None:
        """See that the parameters go together."""
        super().model_post_init(context)
        if self.agg and not self.step:
            raise bad_parameter("agg", "agg needs step: how long each aggregate is, such as 5m")


@operation(blueprint, "/gpus/<path:gpu>/telemetry", Readings, ReadingQuery, table=True, codes=("gpu_not_found",))
def list_telemetry(query: ReadingQuery, gpu: str) -> Table:
    """The readings of one GPU in order of time, ties in order of metric and series.

    With step they are aggregated: one row for each step and metric that has readings, over all its series. Steps begin at
    multiples of their length since 1970; only readings within the span count.
    """
    row = gpus.found(database(), gpu)
    after = cursors.read(query.cursor, _place, row.identity)
    page = Page.of(query, DEFAULT_LIMIT)
    wanted = history.Wanted(
        row.id,
        row.identity,
        history.Span(query.start_time, query.end_time),
        query.metric,
        query.order,
        after,
        page.offset,
    )

    def statement(most: int | None) -> Select[Any]:
        if query.step:
            return history.buckets(wanted, query.step, query.agg or "avg", most)
        return history.readings(wanted, most)

    around = {"gpu": row.identity}
    return Table(Reading, statement, page, query.format, DEFAULT_LIMIT, cursor=_ended, about=row.identity, around=around)


def _ended(row: Row[Any]) -> tuple[datetime, str, int]:
    return row.timestamp, row.metric, row.series


def _place(micros: Any, metric: Any, series: Any) -> history.Place:
    return history.Place(cursors.moment(micros), cursors.name(metric), cursors.whole(series))
