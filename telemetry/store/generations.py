"""The generations of a database: stretches of its history in which nothing that was committed was forgotten.

A database that was restored, or that has failed over to a standby that lagged, may lack what edges hold for committed. So it
gets a new generation, and edges that meet it ask what the ledger holds. A new one begins when the server's identity, its
timeline (Postgres changes it at each promotion and recovery to a point in time) or the database's id is another one, when a
batch that this process has committed is not there any more, and when a person says so. `progress.history` is the edges' side.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, text

from telemetry.store import locks, sequences

# In what SQLAlchemy keeps beside a connection of the driver, as long as that lives.
INFO = "telemetry-generation"
# A batch stands in the ledger under its own id for a day at least (`upkeep.ledger_folding`).
WITNESS_S = 3600.0
COMMAND = "telemetry rewind"

# https://www.postgresql.org/docs/current/functions-admin.html: the name of a WAL file begins with the timeline. What the
# control file says of it (pg_control_checkpoint) is of the latest checkpoint, which comes some time after a promotion.
LOOK = text("""
    SELECT here.origin, latest.mark, latest.origin AS known
    FROM (
        SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE concat_ws('/',
            (SELECT system_identifier FROM pg_control_system()),
            (SELECT oid FROM pg_database WHERE datname = current_database()),
            left(pg_walfile_name(pg_current_wal_lsn()), 8)
        ) END AS origin
    ) here
    LEFT JOIN LATERAL (SELECT mark, origin FROM generations ORDER BY number DESC LIMIT 1) latest ON true
""")
BEGIN = text("INSERT INTO generations (mark, origin, reason) VALUES (:mark, :origin, :reason)")
LOCK = text("SELECT pg_advisory_xact_lock(:key)")
HAS_BATCH = text("SELECT EXISTS (SELECT FROM batches WHERE (edge, batch_id) = (:edge, :batch_id))")
END_SESSIONS = text("""
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name = 'telemetry-collector'
""")


class History:
    """The generations that the connections of one process have met, and the latest batch that it has committed."""

    def __init__(self) -> None:
        self._witness: tuple[str, str] | None = None
        self._witnessed_s = 0.0

    @contextmanager
    def connected(self, engine: Engine) -> Iterator[Connection]:
        """A connection whose generation is known."""
        with engine.connect() as connection:
            if INFO not in connection.info:
                with connection.begin():
                    connection.info[INFO] = self._look(connection)
            yield connection

    def committed(self, edge: str, batch_id: str) -> None:
        """Remember a batch that was committed just now: a database without it has forgotten it."""
        self._witness, self._witnessed_s = (edge, batch_id), monotonic()

    def _look(self, connection: Connection) -> str:
        if self._is_forgotten(connection):
            self._witness = None
            return begin(connection, "a batch that was committed is not there any more")
        return current(connection)

    def _is_forgotten(self, connection: Connection) -> bool:
        if self._witness is None or monotonic() - self._witnessed_s > WITNESS_S:
            return False
        edge, batch_id = self._witness
        return not connection.scalar(HAS_BATCH, {"edge": edge, "batch_id": batch_id})


def of(connection: Connection) -> str:
    """The generation that a connection of `History` has met."""
    mark: str = connection.info[INFO]
    return mark


def current(connection: Connection) -> str:
    """The generation of now; a new one begins where this is not the server, the timeline or the database of the latest."""
    look = connection.execute(LOOK).one()
    if not _is_other(look):
        return look.mark or ""
    connection.execute(LOCK, {"key": locks.GENERATION})
    look = connection.execute(LOOK).one()
    if not _is_other(look):
        return look.mark or ""
    return _begin(connection, look.origin, "another server, timeline or database" if look.known else "the first")


def begin(connection: Connection, reason: str) -> str:
    """Begin a generation."""
    connection.execute(LOCK, {"key": locks.GENERATION})
    return _begin(connection, connection.execute(LOOK).one().origin or "", reason)


def end_sessions(connection: Connection) -> None:
    """End the sessions of the collectors: those that they open next meet the generation of now."""
    connection.execute(END_SESSIONS)


def _is_other(look: Any) -> bool:
    """Whether what is here is not what the latest generation began with. A standby has nothing to say."""
    return look.origin is not None and look.origin != look.known


def _begin(connection: Connection, origin: str, reason: str) -> str:
    # Also that of the generations.
    sequences.catch_up(connection)
    mark = secrets.token_hex(8)
    connection.execute(BEGIN, {"mark": mark, "origin": origin, "reason": reason})
    return mark
