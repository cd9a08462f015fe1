"""The gap audit on a real ledger."""

from __future__ import annotations

import pytest
import redis
from sqlalchemy import Engine

from telemetry.collector.acks import Acks
from telemetry.collector.persist import Collector
from telemetry.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store.audit import Gap, gaps, ledger_ranges
from tests.batches import batch, key, readings
from tests.waiting import eventually


@pytest.fixture
def collector(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Collector:
    return Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))


def commit(collector: Collector, start: int, end: int) -> None:
    made = batch(readings((key(), start, 1.0)), f"b{start}", start=start, end=end, first_line=start)
    collector.persist(*wire.encode(made))


def found(engine: Engine, older_than_s: float) -> list[Gap]:
    with engine.connect() as connection:
        return gaps(connection, older_than_s)


def test_a_gap_that_stays_is_reported_until_it_closes(collector: Collector, engine: Engine) -> None:
    for start, end in ((100, 200), (300, 400), (400, 500), (150, 180)):
        commit(collector, start, end)
    assert found(engine, 60) == []
    (gap,) = eventually(lambda: found(engine, 0.05))
    assert (gap.edge, gap.path, gap.start, gap.end) == ("test/node", "/data/a.csv", 200, 300)
    commit(collector, 200, 300)
    assert found(engine, 0) == []


def test_the_ledger_tells_what_it_has_of_a_source(collector: Collector, engine: Engine) -> None:
    commit(collector, 300, 400)
    commit(collector, 100, 200)
    with engine.connect() as connection:
        held = ledger_ranges(connection, "test/node", "fingerprint-1", "/data/a.csv", None)
        assert held == [(100, 200, 100), (300, 400, 300)]
        assert ledger_ranges(connection, "test/node", "fingerprint-1", "/data/a.csv", 5) == []
