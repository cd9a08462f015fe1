"""`/pipeline` of several brokers: what all of them know together, and what is said where one does not answer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry import broker
from telemetry.api import create_app
from telemetry.api.resources import pipeline
from telemetry.collector.persist import Collector
from telemetry.local.servers import Valkey
from telemetry.progress.acks import Acks
from telemetry.progress.claims import Claims
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Losses, LostRange
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.batches import batch, key, readings
from tests.states import source_state

NORTH, SOUTH = "rack/north", "rack/south"


@pytest.fixture
def second() -> Iterator[Valkey]:
    """A broker that may go away."""
    with tempfile.TemporaryDirectory(prefix="telemetry-pipeline-") as name, Valkey(Path(name) / "valkey") as valkey:
        yield valkey


@pytest.fixture
def both(settings: Settings, redis_client: redis.Redis, second: Valkey, engine: Engine) -> Settings:
    """The settings of two brokers, with an edge at each; of both the ledger has a hole, and that of one edge was given up."""
    given = replace(settings, broker_urls=(("north", settings.broker_url), ("south", second.url)), api_access="open")
    keys = Keys(settings.key_prefix)
    collector = Collector(settings, engine, Acks(redis_client, keys, 60))
    with broker.connect(given.brokers["south"]) as other:
        for edge, client, waiting in ((NORTH, redis_client, 2), (SOUTH, other, 3)):
            claims = Claims(client, keys, edge, "streamer", 30)
            claims.expect(60)
            assert claims.claim("a", source_state(path="/data/a.csv", fingerprint="fingerprint-1", size_bytes=100 * waiting))
            client.rpush(settings.ingest_queue, *range(waiting))
            for start in (0, 200):
                made = batch(readings((key(gpu=edge), start, 1.0)), f"{edge}-{start}", edge=edge, start=start, end=start + 100)
                collector.persist(*wire.encode(made))
        Losses(other, keys, SOUTH).record(LostRange("/data/a.csv", "fingerprint-1", 100, 200, "gone"))
    return given


@contextmanager
def serving(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    with app.test_client() as client:
        yield client
    app.extensions["connections"].close()


def shown(client: FlaskClient) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/api/v1/pipeline").get_json()
    return document


def test_all_brokers_are_asked_and_one_that_is_away_is_named(
    both: Settings, second: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "LASTS_S", 0.0)
    old = replace(both, gap_alert_s=0)
    with serving(old) as client:
        whole = shown(client)
        assert (whole["complete"], whole["queue"]) == (True, {"waiting": 5, "unacked": 0})
        assert whole["brokers"] == {"north": {"waiting": 2, "unacked": 0}, "south": {"waiting": 3, "unacked": 0}}
        assert {window["edge"]: window["lag_bytes"] for window in whole["windows"]} == {NORTH: 110, SOUTH: 210}
        assert [(gap["edge"], gap["start"], gap["end"]) for gap in whole["gaps"]] == [(NORTH, 100, 200)]

        second.kill()
        part = shown(client)
        assert (part["complete"], part["queue"]) == (False, {"waiting": 2, "unacked": 0})
        assert part["brokers"] == {"north": {"waiting": 2, "unacked": 0}, "south": None}
        assert [window["edge"] for window in part["windows"]] == [NORTH]
        # What the other edge has lost is not known now, and passes for no gap.
        assert [gap["edge"] for gap in part["gaps"]] == [NORTH]

        second.start()
        assert shown(client)["complete"]


def test_nothing_is_known_while_no_broker_answers(settings: Settings) -> None:
    away = replace(settings, broker_urls=(), broker_url="redis://127.0.0.1:1/0", api_access="open")
    with serving(away) as client:
        document = shown(client)
    names = ("queue", "windows", "gaps", "brokers")
    assert (document["complete"], [document[name] for name in names]) == (False, [None] * 4)
