"""`/dead-letters`: messages that could not be stored."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers import cursors
from telemetry.api.answers.tables import Continued, Page, Table
from telemetry.api.core.parameters import Followed
from telemetry.api.operations import operation
from telemetry.store.read import ingest

blueprint = Blueprint("deadletters", __name__)


class DeadLetter(BaseModel):
    """A message that cannot be processed, and why. `telemetry deadletter` retries it or lets it go."""

    id: int
    edge: str | None
    batch: str | None
    error: str
    payload_bytes: int
    died_at: datetime


@operation(blueprint, "/dead-letters", Continued[DeadLetter], Followed, table=True)
def list_dead_letters(query: Followed) -> Table:
    """Dead letters in the order they died."""
    page = Page.of(query)
    after = cursors.read(query.cursor, cursors.whole)
    return Table(
        DeadLetter, lambda most: ingest.dead_letters(most, page.offset, after), page, query.format, cursor=lambda row: [row.id]
    )
