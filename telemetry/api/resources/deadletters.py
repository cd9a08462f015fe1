"""`/dead-letters`: messages that could not be stored, and how one is dropped. Retries are `telemetry deadletter`'s."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core.connections import connections
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Followed, Query
from telemetry.api.guards import access
from telemetry.api.operations import listing, operation
from telemetry.store import audit_log, deadletters
from telemetry.store.read import ingest

ENDS = {"id": cursors.whole}
# A bigint of Postgres.
LARGEST_ID = 2**63 - 1

blueprint = Blueprint("deadletters", __name__)


class DeadLetter(BaseModel):
    """A message that cannot be processed, and why. `telemetry deadletter` retries or drops it."""

    id: int
    edge: str | None
    batch: str | None
    error: str
    payload_bytes: int
    died_at: datetime


class Dropped(BaseModel):
    """A dead letter that is gone. Its batch stays dead in the ledger."""

    id: int


@listing(blueprint, "/dead-letters", Continued[DeadLetter], Followed)
def list_dead_letters(_: Followed, page: Page) -> Table:
    """Dead letters in the order they died."""
    (after,) = page.after(ENDS) or (None,)
    return Table(DeadLetter, ingest.dead_letters(after), page, ends=ENDS, of_primary=True)


@operation(
    blueprint,
    "/dead-letters/<letter>/drop",
    Dropped,
    Query,
    method="POST",
    scope="admin",
    codes=("dead_letter_not_found",),
)
def drop_dead_letter(_: Query, letter: str) -> dict[str, int]:
    """Delete a dead letter for good: its rows will not be stored. The audit log has who did."""
    number = int(letter) if letter.isascii() and letter.isdecimal() else 0
    with connections().engine.begin() as connection:
        if not 0 < number <= LARGEST_ID or not deadletters.drop(connection, number):
            raise ProblemError("dead_letter_not_found", f"there is no dead letter {letter[:50]!r}; it may be gone already")
        audit_log.note(connection, access.actor(), "deadletter.drop", str(number))
    return {"id": number}
