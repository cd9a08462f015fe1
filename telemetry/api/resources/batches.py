"""`/batches`: the ledger of what was committed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core.parameters import MAX_ID, Text, Whole
from telemetry.api.core.queries import Followed
from telemetry.api.operations import listing
from telemetry.store.read import ingest
from telemetry.store.read.places import Place

ENDS = {"committed_at": cursors.moment, "edge": cursors.name, "id": cursors.name}

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
    expired: int
    read_at: datetime
    published_at: datetime
    committed_at: datetime


class BatchQuery(Followed):
    """Which batches."""

    edge: Text | None = Field(None, description="only those of this edge")
    source: Whole | None = Field(None, ge=1, le=MAX_ID, description="only those of this source, by its id")
    status: Literal["stored", "dead"] | None = Field(None, description="only those of this status")


@listing(blueprint, "/batches", Continued[Batch], BatchQuery)
def list_batches(query: BatchQuery, page: Page) -> Table:
    """Batches, those committed last first."""
    place = page.after(ENDS)
    after = Place(place[0], place[1:]) if place else None
    return Table(Batch, ingest.batches(query.filter(ingest.BatchFilter), after), page, ends=ENDS)
