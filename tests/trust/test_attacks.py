"""The attacks of a thief who has one edge's credentials, and its key, against running workers: what stops each of them.

Each attempt says by which line one would notice it. In the end all workers live, and every reading of the others is stored,
once and unaltered. What the broker refuses by itself is in test_rights.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from telemetry import broker
from telemetry.celery import make_app
from telemetry.progress.acks import Ack, Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.trust.credentials import parse_key
from telemetry.trust.signatures import Signer
from tests.batches import batch, key, readings
from tests.faults.poisons import call, poisons
from tests.fixtures.processes import exact
from tests.fixtures.services import Query
from tests.trust.test_edge import CENTRE, RATES, logs
from tests.waiting import eventually

DAY_S = 86_400
NO_RIGHT = redis.exceptions.NoPermissionError


@dataclass
class Thief:
    """Who has the credentials of the edge `test/thief`, and knows all about `test/node`."""

    client: redis.Redis
    keys: Keys
    queue: str
    signer: Signer

    def push(self, header: Any, payload: bytes, *, signed: bool = True) -> None:
        """Push a message to the ingest queue."""
        self.client.lpush(self.queue, call(self.signer.signed(header) if signed else header, payload, queue=self.queue))

    def push_raw(self, message: str) -> None:
        """Push any text there."""
        self.client.lpush(self.queue, message)

    def header(self, batch_id: str, edge: str = "test/thief", value: float = 666.0) -> tuple[dict[str, Any], bytes]:
        """A batch with a false value."""
        return wire.encode(batch(readings((key(), 0, value)), batch_id, edge=edge))


@pytest.mark.slow
def test_the_attacks_of_a_stolen_edge(  # noqa: PLR0915 - a table, one system for all of it
    telemetry: Callable[..., subprocess.CompletedProcess[str]],
    start_collector: Callable[..., subprocess.Popen[bytes]],
    start_edge: Callable[..., tuple[subprocess.Popen[bytes], ...]],
    sample: Path,
    verify: Callable[..., dict[str, int]],
    query: Query,
    settings: Settings,
    environ: dict[str, str],
    redis_client: redis.Redis,
    tmp_path: Path,
) -> None:
    def given(name: str) -> dict[str, str]:
        done = telemetry("edge", "add", name, "--json", **CENTRE)
        assert done.returncode == 0, done.stderr
        variables: dict[str, str] = json.loads(done.stdout)["environment"]
        return variables

    lines = sample.read_text().splitlines(keepends=True)
    sample.write_text("".join(lines[:200]))
    stolen = given("test/thief")
    processes = [start_collector(**CENTRE), *start_edge(sample, **RATES, **given("test/node"))]
    eventually(lambda: exact(verify(sample)), 60, every_s=0.5)
    (true_batch, source_id, begin), *_ = query(
        "SELECT batch_id, source_id::text, start_offset FROM batches WHERE edge = 'test/node' LIMIT 1"
    )
    thief = Thief(
        broker.connect(Settings.load({**environ, **stolen}), retries=0),
        Keys(settings.key_prefix),
        settings.ingest_queue,
        Signer("test/thief", parse_key(stolen["TELEMETRY_SIGNING_KEY"])),
    )
    stored = query("SELECT count(*) FROM samples")

    def noticed(line: str) -> None:
        eventually(lambda: line in logs(tmp_path), 15, what=f"a log says {line!r}")

    # False values under the batch id of another edge, signed by its own key, by none, and by a copied signature.
    forged, payload = thief.header(true_batch, edge="test/node")
    thief.push(forged, payload)
    noticed("it claims to be of 'test/node', and is signed by test/thief")
    thief.push(forged, payload, signed=False)
    noticed("it is not signed")
    own = thief.signer.signed(thief.header("mine")[0])
    thief.push({**forged, "signature": own["signature"].replace("test/thief", "test/node")}, payload, signed=False)
    noticed("the signature of test/node does not fit it")

    # A batch condemned: copies marked as delivered before, and the count of attempts.
    copy = json.loads(call(forged, payload, queue=thief.queue))
    copy["headers"]["redelivered"] = True
    for _ in range(6):
        thief.push_raw(json.dumps(copy))
    with pytest.raises(NO_RIGHT):
        thief.client.set(thief.keys.attempts(true_batch), 99)

    # Acknowledgements and states of others; its own it may forge, and its edge does not believe them.
    with pytest.raises(NO_RIGHT):
        Acks(thief.client, thief.keys, 60).send([Ack("test/node", source_id, true_batch, "stored")])
    with pytest.raises(NO_RIGHT):
        thief.client.hset(thief.keys.source("test/node", source_id), "state", "{}")

    # Whoever has more rights at the broker, but no key: the edge does not believe its acknowledgements.
    members: set[Any] = redis_client.smembers(thief.keys.sources("test/node"))
    (name, *_) = (member.decode() for member in members)
    window = json.loads(redis_client.hget(thief.keys.source("test/node", name), "state") or "{}")["window"]
    assert window["committed"] > begin
    Acks(redis_client, thief.keys, 60).send([Ack("test/node", name, "forged", "stored", "g")])
    with sample.open("a") as file:
        file.writelines(lines[200:300])
    noticed("the acknowledgement of batch forged is not believed")

    # Commands to all workers: it may not publish them, and one that comes all the same ends nobody.
    with pytest.raises(NO_RIGHT):
        thief.client.publish("/0.celery.pidbox", "x")
    app = make_app(settings)
    app.control.shutdown()
    app.control.pool_shrink(1)
    app.control.cancel_consumer(settings.ingest_queue)
    assert app.control.inspect(timeout=2).ping()
    app.close()

    # A message that is given back goes to the queue it came from, not to the one that it names: here that of another's ticks.
    astray = thief.signer.signed({**thief.header("astray")[0], "version": wire.VERSION + 1})
    thief.push_raw(call(astray, payload, queue=thief.keys.tick("test/node")))
    noticed("the message waits for a newer collector")

    # What is no batch at all, what would make thousands of partitions, what no collector knows, what is too large.
    for message in poisons().values():
        thief.push_raw(message)
    days = readings(*((key(), day * DAY_S, 1.0) for day in range(1000, 3900)))
    before = query("SELECT count(*) FROM pg_inherits")
    thief.push(*wire.encode(batch(days, "days", edge="test/thief")))
    noticed("days after the last that is taken")
    for number in range(300):
        thief.push({**thief.header(f"newer-{number}")[0], "version": wire.VERSION + 1}, payload)
    noticed("one of a newer version, of test/thief, is dropped")
    thief.push_raw("x" * (49 << 20))
    noticed("is too long")

    # All others are as they were. No collector was made to ask the broker for what it may not do.
    assert "Connection to broker lost" not in logs(tmp_path)
    with sample.open("a") as file:
        file.writelines(lines[300:])
    eventually(lambda: exact(verify(sample)), 60, every_s=0.5)
    assert all(process.poll() is None for process in processes)
    assert query("SELECT count(*) FROM pg_inherits") == before
    assert not query("SELECT FROM samples WHERE value = 666")
    assert query("SELECT count(*) FROM samples") > stored
    assert not query("SELECT FROM batches WHERE edge = 'test/node' AND status <> 'stored'")
    assert query("SELECT count(*) FROM dead_letters WHERE edge IS NULL OR edge <> 'test/thief'") == [(0,)]
