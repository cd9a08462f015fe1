"""What the ledger says that it holds of a source without a gap."""

from __future__ import annotations

import pytest
import redis
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store.read.held import held
from telemetry.store.upkeep.ledger_folding import fold
from tests.batches import batch, key, readings

RANGES = {"b1": (10, 30, 2), "b2": (30, 50, 4), "b4": (60, 90, 9)}


@pytest.fixture
def source(engine: Engine, settings: Settings, redis_client: redis.Redis) -> wire.Source:
    """A source of which the ledger has three batches, with a gap before the last."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    for at, (name, (start, end, line)) in enumerate(RANGES.items()):
        made = batch(readings((key(), at, 1.0)), name)
        header, payload = wire.encode(made)
        collector.persist(header | {"start": start, "end": end, "first_line": line}, payload)
    return made.source


@pytest.mark.parametrize(
    ("spot", "found"),
    [
        ((10, 2), (50, 30, 4, 50)),
        ((30, 4), (50, 30, 4, 50)),
        ((50, 6), (50, 50, 6, 50)),
        ((60, 9), (90, 60, 9, 90)),
        ((90, 12), (90, 90, 12, 90)),
        ((0, 1), (0, 0, 1, 0)),
    ],
)
def test_it_ends_before_the_first_gap(
    engine: Engine, source: wire.Source, spot: tuple[int, int], found: tuple[int, int, int, int]
) -> None:
    with engine.connect() as connection:
        assert held(connection, "test/node", source, *spot) == found


def test_folded_batches_count_like_others(engine: Engine, source: wire.Source) -> None:
    with engine.begin() as connection:
        fold(connection, 0)
    with engine.connect() as connection:
        assert held(connection, "test/node", source, 10, 2) == (50, 30, 4, 50)
        assert held(connection, "test/node", source, 30, 4) == (50, 30, 4, 50)


def test_files_that_begin_alike_count_for_the_whole_alone(engine: Engine, source: wire.Source) -> None:
    other = wire.Source("other", "/elsewhere", source.fingerprint, source.format, source.anchor)
    with engine.connect() as connection:
        assert held(connection, "test/node", other, 10, 2) == (10, 10, 2, 50)
        assert held(connection, "other/node", source, 10, 2) == (10, 10, 2, 10)
