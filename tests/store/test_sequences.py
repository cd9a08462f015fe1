"""Sequences that a restore left behind the ids that are there."""

from __future__ import annotations

import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store import generations, sequences
from tests.batches import batch, key, readings


def test_those_that_are_behind_are_set_and_no_others(
    engine: Engine, settings: Settings, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    for n in range(5):
        collector.persist(*wire.encode(batch(readings((key(gpu=f"GPU-{n}"), 0, 1.0)), f"b{n}")))
    with engine.begin() as connection:
        assert sequences.catch_up(connection) == []
        for table in ("gpus", "series"):
            connection.execute(text(f"ALTER TABLE {table} ALTER id RESTART"))
        connection.execute(text("ALTER TABLE generations ALTER number RESTART"))
        # A person says that commits were forgotten, as after any restore.
        generations.begin(connection, "a test")
    assert "the sequences of generations, gpus, series were behind" in caplog.text
    engine.dispose()
    assert collector.persist(*wire.encode(batch(readings((key(gpu="GPU-new"), 0, 1.0)), "new"))).status == "stored"
