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
STORED_SINCE = text("""
    SELECT EXISTS (
        SELECT FROM batches WHERE status = 'stored' AND committed_at > clock_timestamp() - make_interval(secs => :within_s)
    )
""")
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


def has_overrun(error: Exception, engine: Engine, within_s: float) -> bool:
    """Whether a batch is to blame for having used up the time limit: the database answers, and it is not slow for all.

    Where the time was spent in the database, and nobody has stored a batch meanwhile, the database is slow.
    """
    limit = _time_limit(error)
    if limit is None or not reconnects(engine):
        return False
    return not _was_in_database(limit) or others_stored(engine, within_s)


def _time_limit(error: BaseException | None) -> SoftTimeLimitExceeded | None:
    """The time limit that struck, whatever failed on the way out: a statement that was left cannot be rolled back."""
    while error is not None and not isinstance(error, SoftTimeLimitExceeded):
        error = error.__context__
    return error


def _was_in_database(error: BaseException) -> bool:
    """Whether an error came while the driver waited for the database."""
    frame = error.__traceback__
    while frame is not None:
        if str(frame.tb_frame.f_globals.get("__name__")).startswith("psycopg"):
            return True
        frame = frame.tb_next
    return False


def others_stored(engine: Engine, within_s: float) -> bool:
    """Whether anybody has stored a batch within the last seconds. False if the database does not answer."""
    try:
        with engine.connect() as connection:
            return bool(connection.scalar(STORED_SINCE, {"within_s": within_s}))
    except sqlalchemy.exc.SQLAlchemyError:
        return False


def ask_to_store(engine: Engine) -> None:
    """Wait until the tables that a batch goes to may be written. Raises database errors, such as of a lock timeout."""
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE batches, ONLY samples IN ROW EXCLUSIVE MODE"))
