"""Whose fault an error is."""

from __future__ import annotations

import signal

import psycopg
import pytest
import redis
import sqlalchemy.exc
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine, text

from telemetry.collector.blame import has_overrun, is_hopeless, is_transient, reconnects
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.wire import WireError
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.partitions import PartitionError
from tests.batches import batch, key, readings
from tests.fixtures.services import Query


def wrapped(error: Exception) -> Exception:
    """An error of the driver as SQLAlchemy raises it."""
    return sqlalchemy.exc.DBAPIError("statement", None, error)


OWN = (
    WireError("torn"),
    psycopg.errors.NumericValueOutOfRange(),
    wrapped(psycopg.errors.CheckViolation()),
    wrapped(psycopg.errors.ProgramLimitExceeded()),
)
SURROUNDINGS = (
    TimeoutError(),
    MemoryError(),
    SoftTimeLimitExceeded(),
    redis.ConnectionError(),
    psycopg.errors.DiskFull(),
    wrapped(psycopg.errors.DeadlockDetected()),
    wrapped(psycopg.errors.LockNotAvailable()),
    sqlalchemy.exc.TimeoutError(),
    PartitionError("no partition"),
)


@pytest.mark.parametrize("error", OWN, ids=repr)
def test_an_error_of_the_batch_is_hopeless(error: Exception) -> None:
    assert (is_hopeless(error), is_transient(error)) == (True, False)


@pytest.mark.parametrize("error", SURROUNDINGS, ids=repr)
def test_an_error_of_the_surroundings_is_transient(error: Exception) -> None:
    assert (is_hopeless(error), is_transient(error)) == (False, True)


def test_a_bug_is_neither() -> None:
    assert (is_hopeless(ZeroDivisionError()), is_transient(ZeroDivisionError())) == (False, False)


def test_a_database_is_asked_on_a_new_connection(engine: Engine, query: Query) -> None:
    with engine.connect() as connection:
        before = connection.scalar(text("SELECT pg_backend_pid()"))
    assert reconnects(engine)
    assert query("SELECT pg_backend_pid()") != [(before,)]


def test_a_database_that_is_away_does_not_answer() -> None:
    nowhere = make_engine(Settings.load({"TELEMETRY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}), application="test")
    assert not reconnects(nowhere)


def overrun_in(engine: Engine, *, database: bool) -> Exception:
    """What a time limit raises, in the midst of a statement or elsewhere."""

    def strike(*_: object) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGALRM, strike)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        if database:
            with engine.connect() as connection:
                connection.execute(text("SELECT pg_sleep(60)"))
        signal.pause()
    except (SoftTimeLimitExceeded, sqlalchemy.exc.OperationalError) as error:
        return error
    finally:
        signal.signal(signal.SIGALRM, before)
    raise AssertionError


def test_a_batch_is_to_blame_for_a_database_that_is_slow_only_where_others_are_stored(
    engine: Engine, settings: Settings, redis_client: redis.Redis
) -> None:
    assert has_overrun(overrun_in(engine, database=False), engine, 60)
    assert not has_overrun(overrun_in(engine, database=True), engine, 60)
    acks = Acks(redis_client, Keys(settings.key_prefix), 60)
    Collector(settings, engine, acks).persist(*wire.encode(batch(readings((key(), 0, 1.0)))))
    assert has_overrun(overrun_in(engine, database=True), engine, 60)
    assert not has_overrun(overrun_in(engine, database=True), engine, 0.0)
    assert not has_overrun(TimeoutError(), engine, 60)
