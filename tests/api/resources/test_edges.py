"""`/edges`: which sites stream, and which of them are silent."""

from __future__ import annotations

import csv
import io
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import redis
from flask.testing import FlaskClient

from telemetry.api import create_app
from telemetry.broker import connect, now_us
from telemetry.local.servers import Valkey
from telemetry.progress.claims import Claims
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from tests.waiting import eventually

# The edge whose readings the fleet has.
EDGE = "test/node"


@pytest.fixture
def own_broker() -> Iterator[Valkey]:
    """A broker that may be frozen."""
    with tempfile.TemporaryDirectory(prefix="telemetry-edges-") as name, Valkey(Path(name) / "valkey") as valkey:
        yield valkey


@pytest.mark.usefixtures("fleet")
def test_an_edge_says_when_it_was_seen_and_for_how_long_it_is_silent(
    client: FlaskClient, settings: Settings, redis_client: redis.Redis
) -> None:
    def edge() -> dict[str, object]:
        (one,) = client.get("/api/v1/edges").get_json()["items"]
        assert one["name"] == EDGE
        return dict(one)

    # So far it does not stream for good.
    assert (edge()["last_seen"], edge()["silent_s"]) == (None, None)
    claims = Claims(redis_client, Keys(settings.key_prefix), EDGE, "streamer", 30)
    claims.expect(60)
    assert edge()["silent_s"] == 0
    assert abs(datetime.now(UTC) - datetime.fromisoformat(str(edge()["last_seen"]))) < timedelta(minutes=1)
    claims.expect(0)
    silent_s = eventually(lambda: edge()["silent_s"])
    assert isinstance(silent_s, float)
    (row,) = csv.DictReader(io.StringIO(client.get("/api/v1/edges?format=csv").text))
    assert row["last_seen"].endswith("Z")
    assert float(row["silent_s"]) > silent_s


@pytest.mark.usefixtures("fleet")
def test_an_edge_that_streams_is_there_before_anything_of_it_is_stored(
    client: FlaskClient, settings: Settings, redis_client: redis.Redis
) -> None:
    Claims(redis_client, Keys(settings.key_prefix), "test/new", "streamer", 30).expect(60)
    new, old = client.get("/api/v1/edges").get_json()["items"]
    assert old["name"] == EDGE
    assert (new["name"], new["sources"], new["first_seen"], new["last_commit"]) == ("test/new", 0, None, None)
    assert new["last_seen"] is not None
    assert new["silent_s"] == 0


@pytest.mark.usefixtures("fleet")
def test_an_edge_that_moved_is_as_its_new_broker_says(
    settings: Settings, redis_client: redis.Redis, own_broker: Valkey
) -> None:
    urls = (("old", settings.broker_url), ("new", own_broker.url), ("away", "redis://127.0.0.1:1/0"))
    app = create_app(replace(settings, broker_urls=urls, api_access="open", api_rate_limit=None))
    keys = Keys(settings.key_prefix)
    Claims(redis_client, keys, EDGE, "streamer", 30).expect(0)
    left_us = now_us(redis_client)
    with connect(replace(settings, broker_url=own_broker.url)) as client:
        # Signs of life are in milliseconds.
        eventually(lambda: now_us(client) > left_us + 2000)
        Claims(client, keys, EDGE, "streamer", 30).expect(60)
    (one,) = app.test_client().get("/api/v1/edges").get_json()["items"]
    assert (one["name"], one["silent_s"]) == (EDGE, 0)
    app.extensions["connections"].close()


@pytest.mark.usefixtures("fleet")
def test_a_frozen_broker_does_not_hold_it_up(settings: Settings, own_broker: Valkey) -> None:
    app = create_app(replace(settings, broker_url=own_broker.url, api_access="open", api_rate_limit=None))
    process = psutil.Process(own_broker.pid)
    process.send_signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        answer = app.test_client().get("/api/v1/edges")
        assert time.monotonic() - begun < 2
    finally:
        process.send_signal(signal.SIGCONT)
    (one,) = answer.get_json()["items"]
    assert (one["name"], one["last_seen"], one["silent_s"]) == (EDGE, None, None)
    app.extensions["connections"].close()
