"""`/batches`: the ledger of what was committed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers import cursors
from telemetry.api.answers.tables import Continued, Page, Table
from telemetry.api.core.parameters import MAX_ID, Followed, Text, Whole
from telemetry.api.operations import operation
from telemetry.store.read import ingest

blueprint = Blueprint("batches", __name__)


class Batch(BaseModel):
    """A batch of the ledger: bytes [start, end) of a source, and how many of its rows are of each class."""

    id: str
    edge: str
    source: int
    path: str
    status: str
    error: str | None
    start: int
    end: int
    first_line: int
    rows: int
    stored: int
    duplicate: int
    conflict: int
    blank: int
    quarantined: int
    read_at: datetime
    published_at: datetime
    committed_at: datetime


class BatchQuery(Followed):
    """Which batches."""

    edge: Text | None = Field(None, description="of this edge alone")
    source: Whole | None = Field(None, ge=1, le=MAX_ID, description="of this source alone, by its id")
    status: Literal["stored", "dead"] | None = Field(None, description="of this status alone")


@operation(blueprint, "/batches", Continued[Batch], BatchQuery, table=True)
def list_batches(query: BatchQuery) -> Table:
    """Batches, those committed last first."""
    page = Page.of(query)
    after = cursors.read(query.cursor, _place)
    return Table(
        Batch,
        lambda most: ingest.batches(query.edge, query.source, query.status, most, page.offset, after),
        page,
        query.format,
        cursor=lambda row: [row.committed_at, row.edge, row.id],
    )


def _place(micros: Any, edge: Any, batch: Any) -> ingest.Place:
    return ingest.Place(cursors.moment(micros), cursors.name(edge), cursors.name(batch))
