"""One moment for several statements: what they read is what was stored when the first of them began.

Between two statements a day may be sealed, or late samples merged, so that they would be read twice or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Moment:
    """Statements of one moment, by SQLAlchemy's connection or the driver's beneath it, and until when they may go on."""

    connection: Connection
    beneath: psycopg.Connection
    until_s: float

    def check(self) -> None:
        """Raise QueryCanceled, as Postgres does of one statement, if all of them together have taken too long."""
        if monotonic() > self.until_s:
            raise psycopg.errors.QueryCanceled("the statements of an answer took too long")


@contextmanager
def moment(connection: Connection, limit_s: float) -> Iterator[Moment]:
    """A transaction that sees one moment, on a connection in AUTOCOMMIT."""
    beneath = driver(connection)
    beneath.execute(BEGIN)
    try:
        yield Moment(connection, beneath, monotonic() + limit_s)
    finally:
        if not beneath.closed and beneath.info.transaction_status != TransactionStatus.IDLE:
            beneath.execute("ROLLBACK")
