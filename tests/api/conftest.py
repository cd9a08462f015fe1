"""The API's application on a database with a small fleet in it, put there by the collector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.api import create_app
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.series import SeriesKey
from telemetry.settings import Settings
from tests.batches import batch, readings


def series(metric: str, host: str, index: int, **labels: str) -> str:
    model = "H100" if host == "a" else "L40S"
    return SeriesKey(f"DCGM_FI_DEV_{metric}", f"GPU-{host}{index}", host, index, f"nvidia{index}", model, labels).text()


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    """A client of the application; the database is empty unless `fleet` is asked for too."""
    app = create_app(replace(settings, api_access="open"))
    with app.test_client() as made:
        yield made
    app.extensions["connections"].close()


@pytest.fixture
def fleet(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """Two hosts of two GPUs, two metrics, 50 seconds of readings each."""
    rows = [
        (series(metric, host, index, pod="p" if metric == "GPU_UTIL" else ""), second, float(second + index))
        for second in range(50)
        for host in "ab"
        for index in (0, 1)
        for metric in ("GPU_UTIL", "GPU_TEMP")
    ]
    Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60)).persist(*wire.encode(batch(readings(*rows))))
