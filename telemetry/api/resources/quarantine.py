"""`/quarantine`: rows that are no readings."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers import cursors
from telemetry.api.answers.tables import Continued, Page, Table
from telemetry.api.core.parameters import MAX_ID, Followed, Text, Whole
from telemetry.api.operations import operation
from telemetry.store.read import ingest

blueprint = Blueprint("quarantine", __name__)


class QuarantinedRow(BaseModel):
    """A row that is no reading, as it stood in the file: where, why, and its text (octal escapes for what is no ASCII)."""

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

    edge: Text | None = Field(None, description="of this edge alone")
    source: Whole | None = Field(None, ge=1, le=MAX_ID, description="of this source alone, by its id")
    reason: Text | None = Field(None, description="with this reason alone")


@operation(blueprint, "/quarantine", Continued[QuarantinedRow], QuarantineQuery, table=True)
def list_quarantine(query: QuarantineQuery) -> Table:
    """Quarantined rows in the order they came."""
    page = Page.of(query)
    after = cursors.read(query.cursor, cursors.whole)
    return Table(
        QuarantinedRow,
        lambda most: ingest.quarantine(query.edge, query.source, query.reason, most, page.offset, after),
        page,
        query.format,
        cursor=lambda row: [row.id],
    )
