"""`telemetry edge` and `telemetry broker` against running workers: an edge gets, rotates and loses its credentials."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from telemetry import broker
from telemetry.celery import make_app
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from tests.batches import batch, key, readings
from tests.fixtures.processes import exact
from tests.fixtures.services import Query
from tests.waiting import eventually

SECRET = "s" * 40
CENTRE = {"TELEMETRY_TRUST_SECRET": SECRET, "TELEMETRY_SIGNATURES": "required"}
RATES = {"TELEMETRY_STREAM_INTERVAL_S": "0.2", "TELEMETRY_LEASE_S": "3", "TELEMETRY_REPUBLISH_AFTER_S": "0.5"}
REVOKED_S = 5.0

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., Any]


@pytest.fixture
def give(telemetry: Run, redis_client: redis.Redis, settings: Settings) -> Iterator[Callable[..., dict[str, str]]]:
    """Call `telemetry edge`, and return the settings that it prints."""

    def call(action: str, name: str, *more: str) -> dict[str, str]:
        done = telemetry("edge", action, name, "--json", *more, **CENTRE)
        assert done.returncode == 0, done.stderr
        environment: dict[str, str] = json.loads(done.stdout).get("environment", {})
        return environment

    yield call
    for name in map(str, redis_client.acl_users()):
        if name.startswith(settings.key_prefix):
            redis_client.acl_deluser(name)


@pytest.mark.slow
def test_an_edge_that_is_revoked_while_it_streams_is_refused_soon_and_loses_nothing(
    give: Callable[..., dict[str, str]],
    start_collector: Start,
    start_edge: Start,
    sample: Path,
    verify: Callable[..., dict[str, int]],
    query: Query,
    settings: Settings,
    redis_client: redis.Redis,
    tmp_path: Path,
) -> None:
    lines = sample.read_text().splitlines(keepends=True)
    sample.write_text("".join(lines[:200]))
    mine = give("add", "test/node")
    start_collector(**CENTRE)
    processes = start_edge(sample, **RATES, **mine)
    eventually(lambda: exact(verify(sample)), 60, every_s=0.5)
    user = mine["TELEMETRY_BROKER_USERNAME"]
    assert any(client["user"] == user for client in redis_client.client_list())

    begun_s = time.monotonic()
    give("revoke", "test/node")
    eventually(lambda: not any(client["user"] == user for client in redis_client.client_list()), REVOKED_S)
    with sample.open("a") as file:
        file.writelines(lines[200:])
    # Who kept the key and found another way to the queue is refused too.
    stolen = replace(settings, signing_key=mine["TELEMETRY_SIGNING_KEY"], edge="test/node", role="edge")
    names = map("forged-{}".format, count())

    def is_refused() -> bool:
        queue_batch(stolen, next(names))
        return "is signed by key 1 of test/node, which is not valid" in logs(tmp_path)

    eventually(is_refused, REVOKED_S - (time.monotonic() - begun_s), every_s=0.2)
    last = next(names)
    queue_batch(stolen, last)
    eventually(lambda: not redis_client.llen(settings.ingest_queue), 10)
    assert not query(f"SELECT FROM batches WHERE batch_id = '{last}'")
    assert verify(sample)["missing"] > 0

    # Let in again, with other credentials: the processes get them by a restart.
    again = give("add", "test/node")
    assert again["TELEMETRY_SIGNING_KEY"] != mine["TELEMETRY_SIGNING_KEY"]
    for process in processes:
        process.kill()
        process.wait()
    start_edge(sample, **RATES, **again)
    eventually(lambda: exact(verify(sample)), 60, every_s=0.5)


@pytest.mark.slow
def test_an_edge_rotates_while_it_streams(
    give: Callable[..., dict[str, str]],
    start_collector: Start,
    start_edge: Start,
    sample: Path,
    verify: Callable[..., dict[str, int]],
    environ: Mapping[str, str],
    tmp_path: Path,
) -> None:
    lines = sample.read_text().splitlines(keepends=True)
    sample.write_text("".join(lines[:200]))
    old = give("add", "test")
    start_collector(**CENTRE)
    processes = start_edge(sample, **RATES, **old)
    eventually(lambda: exact(verify(sample)), 60, every_s=0.5)
    new = give("rotate", "test")
    with sample.open("a") as file:
        file.writelines(lines[200:400])
    # Both are good: the edge streams on with the old ones.
    eventually(lambda: exact(verify(sample)), 30, every_s=0.5)
    start_edge(sample, **RATES, **new)
    for process in processes:
        process.terminate()
        process.wait()
    give("rotate", "test", "--finish")
    with pytest.raises(redis.AuthenticationError):
        broker.connect(Settings.load({**environ, **old})).ping()
    with sample.open("a") as file:
        file.writelines(lines[400:])
    eventually(lambda: exact(verify(sample)), 60, every_s=0.5)
    assert "not believed" not in logs(tmp_path)


def test_what_the_commands_say(telemetry: Run, give: Callable[..., dict[str, str]], redis_client: redis.Redis) -> None:
    refused = telemetry("edge", "add", "test/node")
    assert (refused.returncode, "TELEMETRY_TRUST_SECRET is not set" in refused.stderr) == (1, True)
    # Nothing is half done.
    assert "no edge has credentials" in telemetry("edge", "list").stdout
    mine = give("add", "test/node")
    assert "has credentials" in telemetry("edge", "add", "test/node", **CENTRE).stderr
    assert telemetry("edge", "add", "a b", **CENTRE).returncode == 2
    assert "test/node  number 1" in telemetry("edge", "list").stdout
    lines = telemetry("broker", "acl", **CENTRE).stdout.splitlines()
    assert [line.split()[1].rpartition(".")[2] for line in lines] == [
        *("collector", "api", "exporter", "flower", "operator", "test/node")
    ]
    for secret in (SECRET, *list(mine.values())[1:]):
        assert not any(secret in line for line in lines)
    redis_client.acl_deluser(mine["TELEMETRY_BROKER_USERNAME"])
    assert telemetry("broker", "acl", "--apply", **CENTRE).returncode == 0
    assert mine["TELEMETRY_BROKER_USERNAME"] in redis_client.acl_users()
    shown = telemetry("broker", "credentials", "collector", **CENTRE).stdout
    assert "TELEMETRY_BROKER_USERNAME=test-" in shown
    made = json.loads(telemetry("edge", "add", "gpu-a", "--secret", "telemetry-edge", **CENTRE).stdout)
    assert (made["metadata"]["name"], sorted(made["data"])) == ("telemetry-edge", ["redis-password", "signing-key"])
    assert "is revoked" in telemetry("edge", "revoke", "test/node", **CENTRE).stdout
    assert "has no credentials" in telemetry("edge", "revoke", "test/node", **CENTRE).stderr


def queue_batch(settings: Settings, name: str) -> None:
    """Publish a batch with the key of some settings."""
    app = make_app(settings)
    try:
        publisher(app, settings)([wire.encode(batch(readings((key(), 0, 1.0)), name, edge=settings.edge))])
    finally:
        app.close()


def logs(directory: Path) -> str:
    """All that the processes of a test said."""
    return "".join(log.read_text() for log in directory.glob("*.log"))
