"""A chore is one transaction under a lock and a time limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, text

from telemetry.settings import Settings
from telemetry.store import locks
from telemetry.store.upkeep import chores
from telemetry.store.upkeep.chores import CHORES, LEDGER_FOLDING, Chore, run
from tests.fixtures.services import Query


def insert(connection: Connection, settings: Settings, limit: int) -> int:
    """Insert rows, as a chore that handles some."""
    connection.execute(text("INSERT INTO metrics (name) SELECT n::text FROM generate_series(1, :limit) AS n"), {"limit": limit})
    return limit


def overrun(connection: Connection, settings: Settings, limit: int) -> int:
    """Insert rows, and take longer than a chore may."""
    insert(connection, settings, limit)
    connection.execute(text("SELECT pg_sleep(60)"))
    return limit


INSERTING = Chore("inserting", 7, 60.0, 9, insert)


def test_a_piece_of_a_chore_is_committed(engine: Engine, settings: Settings, query: Query) -> None:
    assert run(engine, settings, INSERTING, 3) == 3
    assert query("SELECT count(*) FROM metrics") == [(3,)]


def test_one_process_at_a_time_does_a_chore(engine: Engine, settings: Settings, query: Query) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": INSERTING.lock_key})
        assert run(engine, settings, INSERTING, 3) == 0
        assert run(engine, settings, replace(INSERTING, lock_key=8), 2) == 2
    assert query("SELECT count(*) FROM metrics") == [(2,)]


def test_a_chore_that_takes_long_is_given_up_whole(
    engine: Engine, settings: Settings, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores, "TIMEOUT_S", 1)
    with pytest.raises(sqlalchemy.exc.OperationalError, match="statement timeout"):
        run(engine, settings, replace(INSERTING, work=overrun), 3)
    assert query("SELECT count(*) FROM metrics") == [(0,)]
    # The limit was that of the transaction.
    assert query("SHOW statement_timeout") != [("1s",)]


def test_the_ledger_is_folded(engine: Engine, settings: Settings) -> None:
    assert run(engine, settings, LEDGER_FOLDING, LEDGER_FOLDING.max_rows) == 0


def test_no_two_locks_share_a_key() -> None:
    keys = [locks.PARTITION, *(chore.lock_key for chore in CHORES)]
    assert len(set(keys)) == len(keys)
