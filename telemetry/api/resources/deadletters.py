"""`/dead-letters`: messages that could not be stored, and how one is stored again, or dropped.

The API may not write readings. It hands a letter to the collectors by the ingest queue, and keeps it until the ledger says what
became of it: so one that the broker loses is not lost. `telemetry deadletter retry` stores letters itself.
"""

from __future__ import annotations

from datetime import datetime
from time import monotonic, sleep
from typing import Any, Literal

from flask import Blueprint
from pydantic import BaseModel
from sqlalchemy import Connection, Row

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import brokers, deadlines, ingest_queue
from telemetry.api.core.connections import connections
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Followed, Query
from telemetry.api.guards import access
from telemetry.api.operations import listing, operation
from telemetry.readings import letters
from telemetry.store import audit_log, deadletters
from telemetry.store.read import ingest

LOOK_S = 0.1
ENDS = {"id": cursors.whole}
# A bigint of Postgres.
LARGEST_ID = 2**63 - 1

blueprint = Blueprint("deadletters", __name__)


class DeadLetter(BaseModel):
    """A message that cannot be processed, and why."""

    id: int
    edge: str | None
    batch: str | None
    error: str
    payload_bytes: int
    died_at: datetime


class LetterRetry(BaseModel):
    """What became of a dead letter that was retried.

    `stored`: its batch is in the database, and the letter is gone. `dead`: it died again of `error`, and is another letter now.
    `queued` (202): the collectors have not said yet; the letter stays. A further retry says what became of it meanwhile.
    """

    id: int
    status: Literal["stored", "dead", "queued"]
    error: str | None


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
    number = _number(letter)
    with connections().engine.begin() as connection:
        if not deadletters.drop(connection, number):
            raise _no_letter(letter)
        audit_log.note(connection, access.actor(), "deadletter.drop", str(number))
    return {"id": number}


@operation(
    blueprint,
    "/dead-letters/<letter>/retry",
    LetterRetry,
    Query,
    method="POST",
    scope="admin",
    codes=("dead_letter_not_found", "dead_letter_without_batch", "dead_letter_unreadable", "broker_unavailable"),
    others={202: LetterRetry},
)
def retry_dead_letter(_: Query, letter: str) -> tuple[dict[str, Any], int]:
    """Have a collector store a dead letter again. The letter goes only once the ledger says that it is stored, or dead anew."""
    engine = connections().engine
    with engine.begin() as connection:
        row = deadletters.read(connection, _number(letter))
        if row is None:
            raise _no_letter(letter)
        if row.edge is None:
            detail = "this letter does not name a batch of an edge, so it would die again; drop it"
            raise ProblemError("dead_letter_without_batch", detail)
        # An earlier retry may have ended since.
        if outcome := _ended(connection, row):
            return outcome, 200
    if reason := letters.hindrance(row.header, row.edge, row.batch_id):
        raise ProblemError("dead_letter_unreadable", f"no collector can store this letter again: {reason}. {letters.MEND}")
    try:
        with deadletters.reopened(engine, row):
            ingest_queue.put(brokers.settings_of(row.edge), row.header, row.payload)
    except ingest_queue.QueueError as error:
        raise ProblemError("broker_unavailable", f"the letter was not handed over, and stays: {error}") from None
    with engine.begin() as connection:
        _note(connection, row, "queued")
    until_s = monotonic() + deadlines.RETRY_S
    while monotonic() < until_s:
        with engine.begin() as connection:
            if outcome := _ended(connection, row):
                return outcome, 200
        sleep(LOOK_S)
    return {"id": row.id, "status": "queued", "error": None}, 202


def _ended(connection: Connection, letter: Row[Any]) -> dict[str, Any] | None:
    """The answer about a letter whose batch is settled; the letter goes in the same transaction."""
    settled = deadletters.settled(connection, letter)
    if settled is None:
        return None
    status, error = settled
    if deadletters.drop(connection, letter.id):
        _note(connection, letter, status)
    return {"id": letter.id, "status": status, "error": error}


def _note(connection: Connection, letter: Row[Any], status: str) -> None:
    detail = {"batch": letter.batch_id, "edge": letter.edge, "status": status}
    audit_log.note(connection, access.actor(), "deadletter.retry", str(letter.id), detail)


def _number(letter: str) -> int:
    """The number in a path. Raises ProblemError for what is none."""
    number = int(letter) if letter.isascii() and letter.isdecimal() else 0
    if not 0 < number <= LARGEST_ID:
        raise _no_letter(letter)
    return number


def _no_letter(letter: str) -> ProblemError:
    return ProblemError("dead_letter_not_found", f"there is no dead letter {letter[:50]!r}; it may be gone already")
