"""A clock that is ahead by years drops nothing: the database's, a collector's, or both where readings tell better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store.upkeep import ages, chores, retention, sealing
from telemetry.store.upkeep.chores import JUDGING, OLD_ROWS, RETENTION, SEALING, USAGE
from tests.batches import batch, readings
from tests.fixtures.services import Query
from tests.store.upkeep.test_retention import EXPECTED, FLOOR, THERE, at, begin_of, classes, keep

YEARS = timedelta(days=3 * 365)
QUARANTINED = """
    INSERT INTO quarantine (source_id, batch_id, fingerprint, byte_offset, digest, line, reason, raw)
    SELECT id, 'b', 'f', 0, '', 1, 'bad_value', '' FROM sources
"""


@pytest.fixture
def keeper(settings: Settings) -> Settings:
    """Settings by which 30 days are kept of everything."""
    return replace(settings, retention_days=30, retention_quarantine_days=30, retention_events_days=30)


@pytest.fixture
def writer(settings: Settings, engine: Engine) -> BatchWriter:
    return BatchWriter(settings, engine)


@pytest.fixture
def ahead(engine: Engine) -> Callable[[], None]:
    """Set the database's clock ahead, for all connections from then on."""

    def set_ahead() -> None:
        with engine.begin() as connection:
            connection.execute(text("CREATE SCHEMA ahead"))
            connection.execute(
                text(f"""
                    CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
                    AS $$ SELECT pg_catalog.clock_timestamp() + interval '{YEARS.days} days' $$
                """)
            )
            name = connection.scalar(text("SELECT current_database()"))
            connection.execute(text(f'ALTER DATABASE "{name}" SET search_path = public, ahead, pg_catalog'))
        engine.dispose()
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT clock_timestamp() > pg_catalog.clock_timestamp() + interval '1 year'"))

    return set_ahead


@pytest.fixture
def own_ahead(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Set this process's clock ahead."""
    right = ages.own
    return lambda: monkeypatch.setattr(ages, "own", lambda: right() + YEARS)


def test_one_clock_that_is_ahead_changes_nothing(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query, ahead: Callable[[], None]
) -> None:
    writer.write([batch(readings(at(400), at(31), at(30), at(0)))])
    with engine.begin() as connection:
        connection.execute(text(QUARANTINED))
    ahead()
    keep(engine, keeper)
    assert chores.run(engine, keeper, OLD_ROWS, 100) == 0
    assert (query(FLOOR)[0][0], query(THERE), query(EXPECTED)) == (begin_of(30), [(2,)], [(2,)])
    assert query("SELECT count(*)::int FROM quarantine") == [(1,)]
    # Nor by hand.
    with engine.connect() as connection:
        assert retention.plan(connection, 30).parts == []


def test_a_collector_whose_clock_is_ahead_drops_nothing_more(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query, own_ahead: Callable[[], None]
) -> None:
    writer.write([batch(readings(at(31), at(30), at(0)))])
    own_ahead()
    keep(engine, keeper)
    assert (query(FLOOR)[0][0], query(THERE)) == (begin_of(30), [(2,)])


def test_of_two_clocks_that_are_ahead_readings_know_better(
    engine: Engine,
    keeper: Settings,
    writer: BatchWriter,
    query: Query,
    ahead: Callable[[], None],
    own_ahead: Callable[[], None],
) -> None:
    """A centre on one machine: what edges send has the times of theirs."""
    writer.write([batch(readings(at(32), at(30), at(1)))])
    ahead()
    own_ahead()
    keep(engine, keeper)
    assert (query(FLOOR)[0][0], query(THERE)) == (begin_of(31), [(2,)])
    (outcome,) = writer.write([batch(readings(at(0)), "b2")])
    assert classes(outcome) == {"stored": 1}


def test_where_nothing_was_stored_the_floor_does_not_rise(engine: Engine, keeper: Settings, query: Query) -> None:
    assert chores.run(engine, keeper, RETENTION, 1) == 0
    assert query(FLOOR) == [(None, 30, 0, 0, True)]


def test_an_hour_that_is_not_over_is_not_summed_up(
    engine: Engine, settings: Settings, writer: BatchWriter, query: Query, ahead: Callable[[], None]
) -> None:
    (since,) = query("SELECT extract(epoch FROM now() - current_date)::int")[0]
    writer.write([batch(readings(at(0, since)))])
    ahead()
    while chores.run(engine, settings, USAGE, 1000):
        pass
    assert query("SELECT count(*) > 0 FROM usage_marks") == [(True,)]


def test_a_day_that_is_not_over_is_not_sealed_nor_in_a_partition_of_its_month(
    engine: Engine, settings: Settings, writer: BatchWriter, query: Query, ahead: Callable[[], None]
) -> None:
    ahead()
    writer.write([batch(readings(at(0), at(1)))])
    assert query("SELECT count(*)::int FROM pg_inherits WHERE inhparent = 'samples'::regclass") == [(2,)]
    while chores.run(engine, replace(settings, seal_after_days=2), SEALING, 1000):
        pass
    with engine.connect() as connection:
        assert sealing.ended(connection, sealing.today(connection) - 2) == []


def test_what_was_noted_by_a_clock_that_was_ahead_keeps_nothing_waiting(
    engine: Engine, settings: Settings, writer: BatchWriter, query: Query
) -> None:
    writer.write([batch(readings(at(0), at(9)))])
    sealer = replace(settings, seal_after_days=2)
    for chore in (SEALING, JUDGING):
        chores.run(engine, sealer, chore, chore.max_rows)
    with engine.begin() as connection:
        connection.execute(text("UPDATE partition_sizes SET since = now() + interval '3 years'"))
        connection.execute(text("UPDATE judgements SET judged_at = now() + interval '3 years'"))
    for chore in (SEALING, JUDGING):
        chores.run(engine, sealer, chore, chore.max_rows)
    assert query("SELECT max(since) <= now() FROM partition_sizes") == [(True,)]
    assert query("SELECT judged_at <= now() FROM judgements") == [(True,)]
