"""Compares the clocks of database and broker, and tells the edges, which judge by the broker's whether a reading is too new."""

from __future__ import annotations

from collections.abc import Sequence

import redis
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine

from telemetry import broker
from telemetry.exporter.families import single, with_label
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.store.read.settled import now

# What was told is believed for so many looks.
LOOKS = 6


def look(engine: Engine, client: redis.Redis, settings: Settings) -> Sequence[Metric]:
    """How far the database's clock is ahead of a broker's. Raises SQLAlchemyError and RedisError."""
    with engine.connect() as connection:
        before_us = broker.now_us(client)
        database_us = int(now(connection).timestamp() * 1_000_000)
        after_us = broker.now_us(client)
    ahead_us = database_us - (before_us + after_us) // 2
    believed_ms = max(1000, round(1000 * LOOKS * settings.exporter_interval_s))
    client.set(Keys(settings.key_prefix).database_clock(), ahead_us, px=believed_ms)
    text = "How far the database's clock is ahead of the broker's; negative if it is behind."
    metrics = [single("telemetry_database_ahead_seconds", text, ahead_us / 1_000_000)]
    return with_label("broker", settings.broker_name, metrics) if settings.broker_urls else metrics
