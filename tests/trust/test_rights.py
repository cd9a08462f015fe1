"""What the users of the broker may do, at a real server: the product works with no more, and what a thief tries is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from telemetry import broker
from telemetry.api.core import ingest_queue
from telemetry.local.servers import Valkey
from telemetry.progress import losses, reading
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.trust.credentials import Maker
from telemetry.trust.server import write
from tests.batches import batch, key, readings
from tests.fixtures.processes import exact
from tests.trust.users import Users
from tests.waiting import eventually

Verify = Callable[..., dict[str, int]]


def connected(url: str) -> redis.Redis:
    """A client with a user's credentials."""
    return broker.connect(Settings.load({"TELEMETRY_BROKER_URL": url}), retries=0)


@pytest.fixture
def thief(users: Users) -> redis.Redis:
    """Who has stolen the credentials of one edge."""
    return connected(users.edge("test/node"))


def attempts(prefix: str) -> dict[str, tuple[Any, ...]]:
    """What one may try with the credentials of the edge `test/node`."""
    keys, other, queue = Keys(prefix), "test/other", f"{prefix}.ingest"
    script = "return redis.call('del', KEYS[1])"
    return {
        "read the batches of all edges": ("LRANGE", queue, 0, -1),
        "take a batch": ("RPOP", queue),
        "delete the queue": ("DEL", queue),
        "push a batch to its front": ("RPUSH", queue, "x"),
        "read what the collectors hold": ("HGETALL", keys.unacked("central")),
        "drop what the collectors hold": ("HDEL", keys.unacked("central"), "x"),
        "forge an acknowledgement": ("HSET", keys.acks(other, "s"), "b", "stored"),
        "read acknowledgements": ("HGETALL", keys.acks(other, "s")),
        "overwrite a state": ("HSET", keys.source(other, "s"), "state", "{}"),
        "delete another edge's source by a script": ("EVAL", script, 1, keys.source(other, "s")),
        "delete the list of edges by a script": ("EVAL", script, 1, keys.edges()),
        "push to another edge's ticks": ("LPUSH", keys.tick(other), "x"),
        "read the list of edges": ("SMEMBERS", keys.edges()),
        "take an edge off the list": ("SREM", keys.edges(), other),
        "say that another edge lives": ("SET", keys.sign(other), "1 2"),
        "replace the mark of the broker": ("SET", keys.epoch(), "x"),
        "delete the mark of the broker": ("DEL", keys.epoch()),
        "replace the database's generation": ("SET", keys.generation(), "x"),
        "count attempts at a message": ("SET", keys.attempts("b"), 99),
        "command the workers": ("PUBLISH", "/0.celery.pidbox", "x"),
        "listen to the workers": ("PSUBSCRIBE", "*"),
        "bind a queue of its own to the workers' commands": ("SADD", "_kombu.binding.celery.pidbox", "x"),
        "empty the broker": ("FLUSHALL",),
        "empty the database": ("FLUSHDB",),
        "read the configuration": ("CONFIG", "GET", "*"),
        "list the keys": ("KEYS", "*"),
        "walk over the keys": ("SCAN", 0),
        "list the users": ("ACL", "LIST"),
        "make a user": ("ACL", "SETUSER", "thief", "on", "nopass", "+@all", "~*"),
        "list the clients": ("CLIENT", "LIST"),
        "end other clients": ("CLIENT", "KILL", "TYPE", "normal"),
        "watch all commands": ("MONITOR",),
        "forget the scripts": ("SCRIPT", "FLUSH"),
        "copy the broker": ("REPLICAOF", "127.0.0.1", "1"),
        "stop the server": ("SHUTDOWN", "NOSAVE"),
    }


def is_refused(client: Any, command: tuple[Any, ...]) -> bool:
    """Whether a client lacks the right to a command; within a script the server says so in another way."""
    try:
        client.execute_command(*command)
    except redis.ResponseError as error:
        return "permission" in str(error)
    return False


def test_what_is_refused_to_an_edge(thief: redis.Redis, settings: Settings) -> None:
    allowed = [what for what, command in attempts(settings.key_prefix).items() if not is_refused(thief, command)]
    assert not allowed


def test_the_api_hands_a_batch_to_the_collectors_and_looks_at_the_flow(
    users: Users, settings: Settings, redis_client: redis.Redis
) -> None:
    own = replace(settings, broker_url=users.role("api"), api_access="open")
    ingest_queue.put(own, *wire.encode(batch(readings((key(), 0, 1.0)))))
    assert redis_client.llen(settings.ingest_queue) == 1
    client = connected(own.broker_url)
    keys = Keys(settings.key_prefix)
    assert (client.llen(settings.ingest_queue), client.hlen(keys.unacked("central"))) == (1, 0)
    assert reading.sources_by_edge(client, keys) == {}
    assert losses.of_edge(client, keys, "test/node") == []


def test_credentials_of_a_cluster_are_good_for_its_edges_alone(users: Users, settings: Settings) -> None:
    client, keys = connected(users.edge("gpu-a")), Keys(settings.key_prefix)
    for edge in ("gpu-a/node-1", "gpu-a/node-2"):
        client.hset(keys.acks(edge, "s"), "b", "stored")
    for edge in ("gpu-b/node-1", "gpu-ab/node-1"):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.hset(keys.acks(edge, "s"), "b", "stored")


def test_the_system_works_with_a_user_for_each_part(
    users: Users,
    sample: Path,
    start_collector: Callable[..., object],
    start_edge: Callable[..., object],
    verify: Verify,
    telemetry: Callable[..., Any],
    redis_client: redis.Redis,
    tmp_path: Path,
) -> None:
    start_collector(TELEMETRY_BROKER_URL=users.role("collector"))
    start_edge(sample, TELEMETRY_BROKER_URL=users.edge("test/node"))

    def stored() -> bool:
        # An edge asks for the memory of the broker, to warn of one that drops keys, and does without an answer.
        refused = [entry for entry in redis_client.acl_log() if str(entry["username"]).startswith(users.prefix)]
        assert {entry["object"] for entry in refused} <= {"info"}
        return exact(verify(sample))

    eventually(stored, 60, every_s=0.5)
    shown = telemetry("status", TELEMETRY_BROKER_URL=users.role("operator")).stdout
    assert "test/node" in shown
    assert "collector" in shown
    for log in tmp_path.glob("*.log"):
        assert "NOPERM" not in log.read_text()
        assert "permission" not in log.read_text()


def test_a_file_of_users_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "users.acl"
    users = list(Maker("x" * 32, "telemetry").users({"gpu-a": [1], "lab/node-1": [1, 2]}))
    lines = [user.line(passwords) for user, passwords in users]
    file.write_text("\n".join([*lines, "user default on nopass ~* &* +@all"]) + "\n")
    with Valkey(tmp_path / "valkey", {"aclfile": str(file)}) as server:
        client: Any = connected(server.url)
        for user, passwords in users:
            from_file = client.execute_command("ACL", "GETUSER", user.name)
            write(client, user, passwords)
            assert client.execute_command("ACL", "GETUSER", user.name) == from_file
