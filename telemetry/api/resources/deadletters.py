"""`/dead-letters`: messages that could not be stored."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core.queries import Followed
from telemetry.api.operations import listing
from telemetry.store.read import ingest

ENDS = {"id": cursors.whole}

blueprint = Blueprint("deadletters", __name__)


class DeadLetter(BaseModel):
    """A message that cannot be processed, and why. `telemetry deadletter` retries or drops it."""

    id: int
    edge: str | None
    batch: str | None
    error: str
    payload_bytes: int
    died_at: datetime


@listing(blueprint, "/dead-letters", Continued[DeadLetter], Followed)
def list_dead_letters(_: Followed, page: Page) -> Table:
    """Dead letters in the order they died."""
    (after,) = page.after(ENDS) or (None,)
    return Table(DeadLetter, ingest.dead_letters(after), page, ends=ENDS)
