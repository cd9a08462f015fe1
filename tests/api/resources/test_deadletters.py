"""`/dead-letters/{letter}`: an admin retries or drops a dead letter, and the audit log has who."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry import broker
from telemetry.api import create_app
from telemetry.api.core import connections, deadlines
from telemetry.collector.persist import Collector
from telemetry.local.servers import Valkey
from telemetry.progress.acks import Acks
from telemetry.progress.claims import Claims
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.settings.brokers import chosen
from telemetry.store import apikeys, deadletters
from telemetry.store.deadletters import Letter
from tests.batches import batch, key, readings

StartCollector = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def letter_id(engine: Engine) -> int:
    with engine.begin() as connection:
        deadletters.add(connection, Letter("WireError: it was cut", {}, b"..."), edge="a/b", batch_id="b1")
        return deadletters.ids(connection)[0]


def test_a_letter_is_dropped_once(client: FlaskClient, engine: Engine, letter_id: int) -> None:
    assert client.post(f"/api/v1/dead-letters/{letter_id}/drop").get_json() == {"id": letter_id}
    assert client.get("/api/v1/dead-letters").get_json()["items"] == []
    with engine.connect() as connection:
        noted = connection.execute(text("SELECT action, target FROM audit_log")).all()
    assert noted == [("deadletter.drop", str(letter_id))]
    for wrong in (letter_id, 0, 2**63, "x"):
        assert client.post(f"/api/v1/dead-letters/{wrong}/drop").get_json()["code"] == "dead_letter_not_found"


def test_only_an_admin_drops(settings: Settings, engine: Engine, letter_id: int) -> None:
    app = create_app(settings)
    client = app.test_client()
    with engine.begin() as connection:
        keys = [apikeys.create(connection, scope, (scope,), None, "a test") for scope in ("read", "ingest", "admin")]
    path = f"/api/v1/dead-letters/{letter_id}/drop"
    assert client.post(path).status_code == 401
    answers = [client.post(path, headers={"X-API-Key": key}).status_code for key in keys]
    assert answers == [403, 403, 200]
    app.extensions["connections"].close()


@pytest.fixture
def letters(settings: Settings, engine: Engine, redis_client: redis.Redis) -> list[int]:
    """Two letters: one whose batch is sound by now, as after a mended collector, and one that is hopeless."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    header, payload = wire.encode(batch(readings((key(), 0, 1.0)), "sound"))
    collector.persist({**header, "digest": "0" * 32}, payload)
    collector.persist({**header, "batch_id": "hopeless", "digest": "0" * 32}, payload)
    with engine.begin() as connection:
        mended = {"h": json.dumps(header)}
        connection.execute(text("UPDATE dead_letters SET header = CAST(:h AS jsonb) WHERE batch_id = 'sound'"), mended)
        return deadletters.ids(connection)


def ledger(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {row.batch_id: row.status for row in connection.execute(text("SELECT batch_id, status FROM batches"))}


def test_a_collector_stores_a_letter_or_it_dies_again(
    client: FlaskClient, engine: Engine, letters: list[int], start_collector: StartCollector
) -> None:
    start_collector()
    sound, hopeless = letters
    answer = client.post(f"/api/v1/dead-letters/{sound}/retry")
    assert (answer.status_code, answer.get_json()) == (200, {"id": sound, "status": "stored", "error": None})
    answer = client.post(f"/api/v1/dead-letters/{hopeless}/retry").get_json()
    assert (answer["status"], answer["error"].partition(":")[0]) == ("dead", "WireError")
    (left,) = client.get("/api/v1/dead-letters").get_json()["items"]
    assert (left["batch"], left["id"] > hopeless) == ("hopeless", True)
    assert ledger(engine) == {"sound": "stored", "hopeless": "dead"}
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM samples")) == 1
        noted = connection.execute(text("SELECT target, detail ->> 'status' FROM audit_log ORDER BY id")).all()
    assert noted == [(str(id_), status) for id_, end in ((sound, "stored"), (hopeless, "dead")) for status in ("queued", end)]


def test_a_letter_stays_until_a_collector_has_stored_it(
    client: FlaskClient,
    engine: Engine,
    letters: list[int],
    start_collector: StartCollector,
    redis_client: redis.Redis,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = f"/api/v1/dead-letters/{letters[0]}/retry"
    with monkeypatch.context() as patch:
        patch.setattr(deadlines, "RETRY_S", 0.3)
        answer = client.post(path)
        assert (answer.status_code, answer.get_json()["status"]) == (202, "queued")
        # The broker loses it.
        assert redis_client.delete(settings.ingest_queue) == 1
        assert [item["id"] for item in client.get("/api/v1/dead-letters").get_json()["items"]] == letters
        assert client.post(path).status_code == 202
    start_collector()
    assert client.post(path).get_json()["status"] == "stored"
    assert ledger(engine) == {"sound": "stored", "hopeless": "dead"}


def test_a_letter_that_is_not_handed_over_is_as_it_was(settings: Settings, engine: Engine, letters: list[int]) -> None:
    app = create_app(replace(settings, api_access="open", broker_url="redis://127.0.0.1:1/0"))
    answer = app.test_client().post(f"/api/v1/dead-letters/{letters[0]}/retry")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "broker_unavailable")
    app.extensions["connections"].close()
    assert ledger(engine) == {"sound": "dead", "hopeless": "dead"}
    with engine.connect() as connection:
        assert deadletters.ids(connection) == letters
        assert connection.scalar(text("SELECT count(*) FROM audit_log")) == 0


@pytest.mark.parametrize("more", [{"more": "a\0b"}, {"more": "x" * 70_000}, {"version": 99}, {"batch_id": "other"}])
def test_a_letter_that_no_collector_could_store_is_refused_and_stays_in_the_ledger(
    client: FlaskClient, settings: Settings, engine: Engine, redis_client: redis.Redis, more: dict[str, Any]
) -> None:
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    header, payload = wire.encode(batch(readings((key(), 0, 1.0)), "sound"))
    collector.persist({**header, "digest": "0" * 32, **(more if "more" in more else {})}, payload)
    with engine.begin() as connection:
        (number,) = deadletters.ids(connection)
        if "more" not in more:
            other = {"h": json.dumps({**header, **more})}
            connection.execute(text("UPDATE dead_letters SET header = CAST(:h AS jsonb)"), other)
    answer = client.post(f"/api/v1/dead-letters/{number}/retry")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "dead_letter_unreadable")
    reason = {
        "more": "its header could not be kept as it was sent",
        "version": "it waits for newer collectors: message version 99",
        "batch_id": "its header names another batch: test/node other",
    }
    assert f": {reason[next(iter(more))]}" in answer.get_json()["detail"]
    assert "telemetry ingest FILE with another --batch-size" in answer.get_json()["detail"]
    assert ledger(engine) == {"sound": "dead"}
    assert redis_client.llen(settings.ingest_queue) == 0
    with engine.connect() as connection:
        assert deadletters.ids(connection) == [number]


@pytest.mark.parametrize("error", [KeyError("batch_id"), KeyboardInterrupt()])
def test_whatever_is_raised_at_the_hand_over_leaves_the_batch_dead(
    engine: Engine, letters: list[int], error: BaseException
) -> None:
    with engine.connect() as connection:
        row = deadletters.read(connection, letters[0])
    assert row is not None
    reopened = deadletters.reopened(engine, row)
    reopened.__enter__()
    assert ledger(engine) == {"hopeless": "dead"}
    assert not reopened.__exit__(type(error), error, None)
    assert ledger(engine) == {"sound": "dead", "hopeless": "dead"}


def test_a_letter_goes_to_the_broker_of_its_edge(
    settings: Settings, letters: list[int], redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "RETRY_S", 0.0)
    with tempfile.TemporaryDirectory(prefix="telemetry-letters-") as name, Valkey(Path(name) / "valkey") as valkey:
        urls = (("north", settings.broker_url), ("south", valkey.url), ("away", "redis://127.0.0.1:1/0"))
        app = create_app(replace(settings, broker_urls=urls, api_access="open"))
        with broker.connect(replace(settings, broker_url=valkey.url)) as south:
            Claims(south, Keys(settings.key_prefix), "test/node", "streamer", 30).expect(60)
            assert app.test_client().post(f"/api/v1/dead-letters/{letters[0]}/retry").status_code == 202
            assert [one.llen(settings.ingest_queue) for one in (redis_client, south)] == [0, 1]
        app.extensions["connections"].close()


def test_a_letter_of_an_edge_whose_broker_is_away_goes_to_another_one(
    settings: Settings, letters: list[int], redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "RETRY_S", 0.0)
    own = chosen(["a", "b"], "test/node")
    urls = tuple((name, "redis://127.0.0.1:1/0" if name == own else settings.broker_url) for name in "ab")
    app = create_app(replace(settings, broker_urls=urls, api_access="open"))
    assert app.test_client().post(f"/api/v1/dead-letters/{letters[0]}/retry").status_code == 202
    assert redis_client.llen(settings.ingest_queue) == 1
    app.extensions["connections"].close()


def test_a_request_that_changes_something_needs_one_connection(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "POOL_SIZE", 1)
    with engine.begin() as connection:
        key = apikeys.create(connection, "one", ("admin",), None, "a test")
    app = create_app(settings)
    for action in ("drop", "retry"):
        answer = app.test_client().post(f"/api/v1/dead-letters/7777/{action}", headers={"X-API-Key": key})
        assert answer.get_json()["code"] == "dead_letter_not_found"
    app.extensions["connections"].close()


def test_a_letter_of_no_batch_is_not_retried(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        deadletters.add(connection, Letter("WireError: no header", {}, b"..."), edge=None, batch_id="digest")
        (number,) = deadletters.ids(connection)
    assert client.post(f"/api/v1/dead-letters/{number}/retry").get_json()["code"] == "dead_letter_without_batch"
    assert client.post("/api/v1/dead-letters/7777/retry").get_json()["code"] == "dead_letter_not_found"
