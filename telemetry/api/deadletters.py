"""`/dead-letters`: messages that could not be stored."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.operations import operation
from telemetry.api.parameters import Tabular
from telemetry.api.tables import Listed, Page, Table
from telemetry.store import flow

blueprint = Blueprint("deadletters", __name__)


class DeadLetter(BaseModel):
    """A message that cannot be processed, and why. `telemetry deadletter` retries it or lets it go."""

    id: int
    edge: str | None
    batch: str | None
    error: str
    payload_bytes: int
    died_at: datetime


@operation(blueprint, "/dead-letters", Listed[DeadLetter], Tabular, table=True)
def list_dead_letters(query: Tabular) -> Table:
    """Dead letters in the order they died."""
    page = Page.of(query)
    return Table(DeadLetter, lambda most: flow.dead_letters(most, page.offset), page, query.format)
