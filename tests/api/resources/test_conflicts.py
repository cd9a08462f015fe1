"""`/conflicts`: readings whose key is stored with another value, listed with both."""

from __future__ import annotations

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store.read.second_looks import SecondLook, second_looks
from tests.batches import batch, key, readings


@pytest.fixture(autouse=True)
def stored(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """A source whose readings are stored, and one that says something else of two of them."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    other = wire.Source("source-2", "/data/b.csv", "fingerprint-2", "dcgm", None)
    collector.persist(*wire.encode(batch(readings((key(), 0, 1.0), (key(), 1, 2.0)))))
    collector.persist(*wire.encode(batch(readings((key(), 0, 1.5), (key(), 1, 2.5), (key(), 2, 3.0)), "b2", source=other)))


def test_both_values_are_listed(client: FlaskClient) -> None:
    first, second = client.get("/api/v1/conflicts").get_json()["items"]
    assert {name: first[name] for name in ("edge", "path", "batch", "gpu", "metric", "timestamp", "value", "stored")} == {
        "edge": "test/node",
        "path": "/data/b.csv",
        "batch": "b2",
        "gpu": "GPU-1",
        "metric": "DCGM_FI_DEV_GPU_UTIL",
        "timestamp": "2025-07-18T20:42:34Z",
        "value": 1.5,
        "stored": 1.0,
    }
    assert (second["value"], second["stored"]) == (2.5, 2.0)
    assert client.get(f"/api/v1/conflicts?source={first['source']}&edge=test/node&limit=1").get_json()["items"] == [first]
    assert client.get("/api/v1/conflicts?edge=test/other").get_json()["items"] == []


def test_pages_go_on_where_the_last_one_ended(client: FlaskClient) -> None:
    first = client.get("/api/v1/conflicts?limit=1").get_json()
    second = client.get(f"/api/v1/conflicts?limit=1&cursor={first['next_cursor']}").get_json()
    assert [page["items"][0]["value"] for page in (first, second)] == [1.5, 2.5]
    lines = client.get("/api/v1/conflicts?format=csv").text.splitlines()
    assert (len(lines), "2025-07-18T20:42:34Z,1.5,1," in lines[1]) == (3, True)


def test_they_are_counted_by_source(engine: Engine) -> None:
    with engine.connect() as connection:
        assert second_looks(connection) == {("test/node", "fingerprint-2"): SecondLook(quarantined=0, conflicts=2)}
