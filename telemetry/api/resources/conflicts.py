"""`/conflicts`: readings whose key is stored with another value."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core.parameters import MAX_ID, Text, Whole
from telemetry.api.core.queries import Followed
from telemetry.api.operations import listing
from telemetry.store.read import ingest

ENDS = {"id": cursors.whole}

blueprint = Blueprint("conflicts", __name__)


class Conflict(BaseModel):
    """A reading that says `value` where `stored` was stored before and stays: whose it is, its time, who brought it."""

    id: int
    edge: str
    source: int
    path: str
    batch: str
    gpu: str
    metric: str
    timestamp: datetime
    value: float
    stored: float
    kept_at: datetime


class ConflictQuery(Followed):
    """Which readings."""

    edge: Text | None = Field(None, description="only those of this edge")
    source: Whole | None = Field(None, ge=1, le=MAX_ID, description="only those of this source, by its id")


@listing(blueprint, "/conflicts", Continued[Conflict], ConflictQuery)
def list_conflicts(query: ConflictQuery, page: Page) -> Table:
    """Readings in conflict in the order they came."""
    (after,) = page.after(ENDS) or (None,)
    return Table(Conflict, ingest.conflicts(query.filter(ingest.ConflictFilter), after), page, ends=ENDS)
