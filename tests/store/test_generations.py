"""A database that may have forgotten commits begins a generation, by itself where that can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store import generations
from telemetry.store.engine import make_engine
from telemetry.store.generations import History
from tests.batches import batch, key, readings
from tests.fixtures.services import Query

REASONS = "SELECT reason FROM generations ORDER BY number"


def met(engine: Engine, history: History) -> str:
    with history.connected(engine) as connection:
        return generations.of(connection)


def test_it_stays_the_same_while_nothing_happens(engine: Engine, query: Query) -> None:
    history = History()
    first = met(engine, history)
    engine.dispose()
    assert met(engine, history) == met(engine, History()) == first
    assert query(REASONS) == [("the first",)]


def test_many_that_meet_a_new_one_at_once_begin_one(engine: Engine, settings: Settings, query: Query) -> None:
    engines = [make_engine(settings, application="test") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        marks = set(pool.map(lambda each: met(each, History()), engines))
    for each in engines:
        each.dispose()
    assert len(marks) == 1
    assert query(REASONS) == [("the first",)]


@pytest.fixture
def copied(
    engine: Engine, database_url: str, server: psycopg.Connection[Any], at: Callable[[str], str], settings: Settings
) -> Iterator[Callable[[], Engine]]:
    """Makes a copy of the test's database, as a dump that is restored elsewhere is."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    made: list[Engine] = []

    def copy() -> Engine:
        engine.dispose()
        server.execute(f'CREATE DATABASE "{name}-copy" TEMPLATE "{name}"'.encode())
        made.append(make_engine(Settings.load({"TELEMETRY_DATABASE_URL": at(f"{name}-copy")}), application="test"))
        return made[0]

    yield copy
    for each in made:
        each.dispose()
    server.execute(f'DROP DATABASE IF EXISTS "{name}-copy"'.encode())


def test_a_dump_that_is_restored_elsewhere_is_another_one(engine: Engine, copied: Callable[[], Engine]) -> None:
    first = met(engine, History())
    assert met(copied(), History()) != first


def test_another_timeline_is_another_one(engine: Engine, query: Query) -> None:
    first = met(engine, History())
    with engine.begin() as connection:
        connection.execute(text("UPDATE generations SET origin = left(origin, -8) || 'FFFFFFFF'"))
        assert generations.current(connection) != first
    assert len(query(REASONS)) == 2


def test_a_process_notices_that_what_it_has_committed_is_gone(
    engine: Engine, settings: Settings, redis_client: redis.Redis, query: Query
) -> None:
    keys = Keys(settings.key_prefix)
    collector = Collector(settings, engine, Acks(redis_client, keys, 60))
    message = wire.encode(batch(readings((key(), 0, 1.0))))
    first = collector.persist(*message)
    assert redis_client.get(keys.generation()) == first.generation.encode()
    assert redis_client.hgetall(keys.acks("test/node", "source-1")) == {b"b1": f"stored {first.generation}".encode()}
    engine.dispose()
    assert collector.persist(*message).generation == first.generation
    # As a file of an older state that is put in this one's place.
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM batches"))
    engine.dispose()
    again = collector.persist(*message)
    assert again.generation not in {"", first.generation}
    assert redis_client.get(keys.generation()) == again.generation.encode()
    assert query(REASONS)[1:] == [("a batch that was committed is not there any more",)]


def test_collectors_meet_the_one_that_a_person_begins(engine: Engine, settings: Settings) -> None:
    collectors, history = make_engine(settings, application="collector"), History()
    first = met(collectors, history)
    with engine.connect() as connection:
        begun = generations.begin(connection, generations.COMMAND)
        connection.commit()
        assert met(collectors, history) == first
        generations.end_sessions(connection)
    assert met(collectors, history) == begun
    collectors.dispose()
