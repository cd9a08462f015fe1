"""Decides whose fault an error is: the batch's own, or that of its surroundings (database, broker, machine).

A batch dies of its own errors only. An error of the surroundings says nothing about it: another try, or another worker, may
do better. An error of neither kind is a bug, which `persist` takes for the batch's.
"""

from __future__ import annotations

import psycopg
import redis
import sqlalchemy.exc
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine, text

from telemetry.readings.wire import WireError

HOPELESS = (WireError, psycopg.errors.DataError, psycopg.errors.CheckViolation)
# SQLSTATE class "program limit exceeded" (PostgreSQL manual, appendix A), such as a name too long for an index. psycopg makes
# it an OperationalError.
HOPELESS_CLASS = "54"
DATABASE = (sqlalchemy.exc.SQLAlchemyError, psycopg.Error)
TRANSIENT = (*DATABASE, redis.RedisError, OSError, MemoryError, SoftTimeLimitExceeded)


def is_hopeless(error: Exception) -> bool:
    """Whether the batch itself causes the error, so that it will be the same the next time."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    return isinstance(cause, HOPELESS) or str(getattr(cause, "sqlstate", None)).startswith(HOPELESS_CLASS)


def is_transient(error: Exception) -> bool:
    """Whether the surroundings cause the error, so that another try may succeed."""
    return isinstance(error, TRANSIENT) and not is_hopeless(error)


def reconnects(engine: Engine) -> bool:
    """Drop all connections of the pool, and connect anew. Returns whether the database answers on the new connection.

    The old connections cannot be asked: the network behind them may be gone.
    """
    engine.dispose()
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except sqlalchemy.exc.SQLAlchemyError:
        return False
    return True


def ask_to_store(engine: Engine) -> None:
    """Wait until the tables that a batch goes to may be written. Raises database errors, such as of a lock timeout."""
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE batches, ONLY samples IN ROW EXCLUSIVE MODE"))
