"""Sessions that keep locks for a client that has gone silent, in the middle of a COPY or anywhere in a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from sqlalchemy import Engine, text

from telemetry.settings import Settings
from telemetry.store import silent_sessions
from telemetry.store.engine import make_engine
from tests.waiting import eventually

WAITS = text("""
    SELECT wait_event = 'ClientRead' AND clock_timestamp() - query_start > '0.5 s' FROM pg_stat_activity WHERE pid = :pid
""")
# For far longer than it may be.
IDLE = text("""
    SELECT state = 'idle in transaction' AND clock_timestamp() - state_change > '1 s' FROM pg_stat_activity WHERE pid = :pid
""")
LIMITED = "SET statement_timeout = '100ms'; SET idle_in_transaction_session_timeout = '100ms'"


@contextmanager
def silent(settings: Settings, application: str) -> Iterator[psycopg.Connection]:
    """A session that keeps a lock, and whose client says nothing any more in the middle of its COPY."""
    url = settings.database_url.replace("+psycopg", "", 1)
    with closing(psycopg.connect(url, application_name=application, autocommit=True)) as connection:
        connection.execute(LIMITED)
        connection.execute("BEGIN; LOCK TABLE batches IN ACCESS EXCLUSIVE MODE")
        connection.pgconn.send_query(b"COPY quarantine (reason) FROM STDIN")
        connection.pgconn.flush()
        yield connection


def is_alive(engine: Engine, pid: int) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(text("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = :pid)"), {"pid": pid}))


def waits(engine: Engine, pid: int) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(WAITS, {"pid": pid}))


def is_idle(engine: Engine, pid: int) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(IDLE, {"pid": pid}))


@pytest.fixture
def collectors(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings, application="collector")
    yield engine
    engine.dispose()


def test_no_limit_of_the_server_ends_it_and_this_does(settings: Settings, collectors: Engine) -> None:
    with silent(settings, "telemetry-collector") as connection:
        pid = connection.info.backend_pid
        # Far beyond its limits.
        eventually(lambda: waits(collectors, pid))
        assert silent_sessions.end(collectors, 3600) == 0
        assert silent_sessions.end(collectors, 0.5) == 1
        eventually(lambda: not is_alive(collectors, pid))
        with collectors.begin() as other:
            other.execute(text("LOCK TABLE batches IN ACCESS EXCLUSIVE MODE NOWAIT"))


def test_a_session_of_somebody_else_is_left_alone(settings: Settings, collectors: Engine) -> None:
    with silent(settings, "psql") as connection:
        pid = connection.info.backend_pid
        eventually(lambda: waits(collectors, pid))
        assert silent_sessions.end(collectors, 0.1) == 0
        assert is_alive(collectors, pid)


def test_the_server_looks_for_clients_that_are_gone(collectors: Engine) -> None:
    with collectors.connect() as connection:
        rows = connection.execute(text("SELECT name, setting FROM pg_settings WHERE name LIKE 'tcp_keepalives%'"))
        shown = {row.name: row.setting for row in rows}
        over_tcp = connection.scalar(text("SELECT inet_client_addr() IS NOT NULL"))
    # A Unix socket has none: its peer cannot go without a word.
    assert shown == (KEEPALIVES if over_tcp else dict.fromkeys(KEEPALIVES, "0"))


KEEPALIVES = {"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}


def test_one_that_is_idle_and_has_no_time_limit_any_more_is_ended(settings: Settings, collectors: Engine) -> None:
    """A message that is no command ends the server's time limit for idle transactions, and begins none."""
    url = settings.database_url.replace("+psycopg", "", 1)
    with closing(psycopg.connect(url, application_name="telemetry-collector", autocommit=True)) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = '300ms'")
        pid, beneath = connection.info.backend_pid, connection.pgconn
        connection.execute("BEGIN; LOCK TABLE batches IN ACCESS EXCLUSIVE MODE")
        beneath.enter_pipeline_mode()
        beneath.send_flush_request()
        beneath.flush()
        eventually(lambda: is_idle(collectors, pid))
        assert silent_sessions.end(collectors, 3600) == 0
        assert silent_sessions.end(collectors, 0.5) == 1
        eventually(lambda: not is_alive(collectors, pid))
