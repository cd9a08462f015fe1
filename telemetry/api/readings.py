"""`/gpus/{id}/telemetry`: the readings of one GPU, raw or aggregated in steps."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from flask import Blueprint
from pydantic import BaseModel, Field
from sqlalchemy import Row, Select

from telemetry.api import gpus
from telemetry.api.connections import connections
from telemetry.api.errors import bad_parameter
from telemetry.api.operations import operation
from telemetry.api.parameters import Order, Spanned, Step, Tabular, Text, Whole
from telemetry.api.tables import Listed, Page, Table
from telemetry.store import history

DEFAULT_LIMIT = 1000
MAX_LIMIT = 100_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

blueprint = Blueprint("readings", __name__)


class Reading(BaseModel):
    """A reading, or an aggregate of those in a step. `value` is null where JSON has no word for it, such as NaN."""

    timestamp: datetime
    gpu: str
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]


class Readings(Listed[Reading]):
    """A page of readings. `next_cursor` goes on where the page ended, at no cost; it is null at the end."""

    gpu: str
    next_cursor: str | None


class ReadingQuery(Spanned, Tabular):
    """Which readings, in which order."""

    metric: tuple[Text, ...] = Field((), max_length=50, description="of these metrics alone; may be repeated")
    step: Step | None = Field(None, description="aggregate readings in steps of this length, such as 5m")
    agg: history.Aggregate | None = Field(None, description="how readings of a step become one value; avg unless told")
    order: Order = Field("asc", description="by time, up or down")
    limit: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows at most; JSON gives 1000 unless told, others all")
    page_size: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows of a page; another way to say limit")
    cursor: Text | None = Field(None, description="next_cursor of the page before: goes on where that ended")

    def model_post_init(self, context: Any) -> None:
        """See that the parameters go together."""
        Spanned.model_post_init(self, context)
        Tabular.model_post_init(self, context)
        if self.agg and not self.step:
            raise bad_parameter("agg", "agg needs step: how long each aggregate is, such as 5m")
        if self.cursor and (self.offset or self.page):
            raise bad_parameter("cursor", "cursor says where to go on, so leave out offset and page")


@operation(blueprint, "/gpus/<gpu>/telemetry", Readings, ReadingQuery, table=True, codes=("gpu_not_found",))
def list_telemetry(query: ReadingQuery, gpu: str) -> Table:
    """The readings of one GPU in order of time, ties in order of metric and series.

    With step they are aggregated: one row for each step and metric that has readings, over all its series. Steps begin at
    multiples of their length since 1970; only readings within the span count.
    """
    after = _place(query.cursor) if query.cursor else None
    with connections().engine.connect() as connection:
        row = gpus.found(connection, gpu)
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
    return Table(Reading, statement, page, query.format, DEFAULT_LIMIT, cursor=_cursor, around=around)


def _cursor(row: Row[Any]) -> str:
    micros = (row.timestamp - EPOCH) // timedelta(microseconds=1)
    return urlsafe_b64encode(orjson.dumps([micros, row.metric, row.series])).decode().rstrip("=")


def _place(cursor: str) -> history.Place:
    try:
        micros, metric, series = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(metric, str) and "\0" not in metric and 0 <= int(series) < 1 << 63:
            return history.Place(EPOCH + timedelta(microseconds=micros), metric, int(series))
    except (ValueError, TypeError, OverflowError, binascii.Error):
        pass
    raise bad_parameter("cursor", "cursor must be the next_cursor of a page before")
