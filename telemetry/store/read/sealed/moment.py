"""One moment for several statements: what they read is what was stored when the first of them began.

Between two statements a day may be sealed, or late samples merged, so that they would be read twice or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection

from telemetry.store.engine import driver

# The lock comes before the first snapshot: the drop of a partition is seen at once, its arrays by younger snapshots alone.
# Between two pieces of an export its reader may pause for a minute.
BEGIN = """
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = '70s';
    LOCK TABLE ONLY samples IN ACCESS SHARE MODE
"""


# A reader who takes a piece slowly does not stand still: the database hears of it before its limit.
SIGN_S = 20.0


@dataclass(slots=True)
class Moment:
    """Statements of one moment, by SQLAlchemy's connection or the driver's beneath it, and until when they may go on."""

    connection: Connection
    beneath: psycopg.Connection
    limit_s: float
    until_s: float = field(init=False)
    heard_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin."""
        self.begin_piece()

    def check(self) -> None:
        """Raise QueryCanceled, as Postgres does of one statement, if those of a piece together have taken too long."""
        if monotonic() > self.until_s:
            raise psycopg.errors.QueryCanceled("the statements of an answer took too long")

    def begin_piece(self) -> None:
        """The next piece of an answer has as long as the first."""
        self.heard_s = monotonic()
        self.until_s = self.heard_s + self.limit_s

    def keep(self) -> None:
        """Keep the transaction while pieces that were read are taken."""
        if monotonic() > self.heard_s + SIGN_S:
            self.beneath.execute("SELECT")
            self.heard_s = monotonic()


@contextmanager
def moment(connection: Connection, limit_s: float) -> Iterator[Moment]:
    """A transaction that sees one moment, on a connection in AUTOCOMMIT."""
    beneath = driver(connection)
    beneath.execute(BEGIN)
    try:
        yield Moment(connection, beneath, limit_s)
    finally:
        if not beneath.closed and beneath.info.transaction_status != TransactionStatus.IDLE:
            beneath.execute("ROLLBACK")
