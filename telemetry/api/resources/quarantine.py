"""`/quarantine`: rows that cannot be read as readings."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core.parameters import MAX_ID, Instant, Text, Whole
from telemetry.api.core.queries import Followed
from telemetry.api.operations import listing
from telemetry.store.read import ingest
from telemetry.store.read.places import Order

ENDS = {"id": cursors.whole}

blueprint = Blueprint("quarantine", __name__)


class QuarantinedRow(BaseModel):
    """A row that cannot be read as a reading: where it is, why, and its text as in the file (bytes beyond ASCII in octal)."""

    id: int
    edge: str
    source: int
    path: str
    batch: str
    line: int
    byte_offset: int
    reason: str
    raw: str
    quarantined_at: datetime


class QuarantineQuery(Followed):
    """Which rows."""

    edge: Text | None = Field(None, description="only those of this edge")
    source: Whole | None = Field(None, ge=1, le=MAX_ID, description="only those of this source, by its id")
    reason: Text | None = Field(None, description="only those with this reason")
    since: Instant | None = Field(None, description="only those in quarantine since then: RFC 3339, or relative as -1h")
    order: Order = Field("asc", description="asc: in the order they came; desc: the newest first")


@listing(blueprint, "/quarantine", Continued[QuarantinedRow], QuarantineQuery)
def list_quarantine(query: QuarantineQuery, page: Page) -> Table:
    """Quarantined rows in the order they came, or the newest first."""
    (after,) = page.after(ENDS) or (None,)
    rows = ingest.quarantine(query.filter(ingest.QuarantineFilter), after, query.order)
    return Table(QuarantinedRow, rows, page, ends=ENDS)
