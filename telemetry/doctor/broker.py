"""What the broker lets this role do: its credentials and rights, its round trip, clock and eviction policy.

Rights are tried without doing anything: inside MULTI the server judges each command when it is queued, also whether it is a
replica or full, and DISCARD drops them all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import redis

from telemetry import broker
from telemetry.doctor import clocks
from telemetry.doctor.finding import Judgement, failed, ok, warning
from telemetry.progress.keys import BINDING, DECLARED, Party, Type
from telemetry.settings import Role, Settings

ANSWER_S = 3.0
PINGS = 5
# Collectors make several round trips for each group of messages, edges few.
SLOW_MS: dict[Role, float] = {"edge": 500, "central": 50}
MIN_VERSION = (6, 2)
PARTIES: dict[str, frozenset[Party]] = {
    "edge": frozenset({"streamer", "beat"}),
    "central": frozenset({"collector", "exporter", "commands"}),
    "api": frozenset({"API"}),
}
WRITES: dict[Type, tuple[str, ...]] = {
    "list": ("LPUSH", "{key}", "x"),
    "hash": ("HSET", "{key}", "x", "x"),
    "set": ("SADD", "{key}", "x"),
    "zset": ("ZADD", "{key}", "0", "x"),
    "string": ("SET", "{key}", "x"),
}
READS: dict[Type, tuple[str, ...]] = {
    "list": ("RPOP", "{key}"),
    "hash": ("HGETALL", "{key}"),
    "set": ("SMEMBERS", "{key}"),
    "zset": ("ZRANGE", "{key}", "0", "-1"),
    "string": ("GET", "{key}"),
}


def _explained(ask: Callable[[Broker], Judgement]) -> Callable[[Broker], Judgement]:
    """Turn errors of Redis into findings."""

    @wraps(ask)
    def asked(self: Broker) -> Judgement:
        try:
            return ask(self)
        except redis.RedisError as error:
            return fault(error)

    return asked


class Broker:
    """The broker, asked through one client."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings, self._role = settings, role
        self._client = broker.connect(settings, socket_timeout_s=ANSWER_S, retries=0)

    @_explained
    def credentials(self) -> Judgement:
        """Whether user and password are taken."""
        self._client.ping()
        try:
            server = self._client.info("server")
        except redis.ResponseError:
            return ok("user and password are taken; it does not tell this user its version")
        return judge_version(server)

    @_explained
    def rights(self) -> Judgement:
        """Whether the role may use its keys."""
        connection = self._client.connection_pool.get_connection()
        try:
            denied = _denied(connection, commands(self._settings, self._role))
        finally:
            self._client.connection_pool.release(connection)
        return judge_rights(denied)

    @_explained
    def round_trip(self) -> Judgement:
        """How long a question takes."""
        took_ms = []
        for _ in range(PINGS):
            begin = time.monotonic()
            self._client.ping()
            took_ms.append((time.monotonic() - begin) * 1000)
        return judge_round_trip(statistics.median(took_ms), "edge" if self._role == "edge" else "central")

    @_explained
    def clock(self) -> Judgement:
        """How far the clocks are apart."""
        return clocks.ask(lambda: broker.now_us(self._client) / 1e6)

    @_explained
    def eviction(self) -> Judgement:
        """Whether it keeps everything when its memory is full."""
        try:
            memory = self._client.info("memory")
        except redis.ResponseError:
            memory = {}
        return judge_memory(memory)


def commands(settings: Settings, role: str) -> Iterator[tuple[str, ...]]:
    """A command for each right that a role needs, from the list of keys."""
    owner = f"edge.{settings.edge}" if role == "edge" else "central"
    for key in DECLARED:
        name = key.name.format(p=settings.key_prefix, edge=settings.edge, owner=owner, id="doctor", exchange="celery")
        reads, writes = (bool(PARTIES[role] & set(parties)) for parties in (key.readers, key.writers))
        if key is BINDING:
            reads = writes = role != "api"
        for is_needed, forms in ((writes, WRITES), (reads, READS)):
            if is_needed:
                yield tuple(word.format(key=name) for word in forms[key.type])
    if role == "edge":
        yield ("EVAL", "return 1", "0")


def _denied(connection: Any, attempts: Iterator[tuple[str, ...]]) -> list[str]:
    """The commands that the server refuses to queue, each with its reason."""
    connection.send_command("MULTI")
    connection.read_response()
    denied = []
    try:
        for command in attempts:
            connection.send_command(*command)
            try:
                connection.read_response()
            except redis.ResponseError as error:
                denied.append(f"{' '.join(command[:2])}: {error}")
    finally:
        if connection.is_connected:
            connection.send_command("DISCARD")
            connection.read_response()
    return denied


def judge_version(server: dict[str, Any]) -> Judgement:
    """The version. Valkey says which of Redis it is like."""
    text = str(server.get("redis_version", ""))
    name = f"Valkey {server['valkey_version']}" if "valkey_version" in server else f"Redis {text}"
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if numbers and numbers < MIN_VERSION:
        return failed(f"it is {name}", f"use Redis {'.'.join(map(str, MIN_VERSION))} or later, or Valkey")
    return ok(f"user and password are taken; it is {name}")


def judge_rights(denied: list[str]) -> Judgement:
    """What the refusals mean."""
    if not denied:
        return ok("this role may use each of its keys")
    if "OOM" in denied[0]:
        return failed(f"it is full: {denied[0]}", "give it more memory, or let the collectors work the queue off")
    return failed(
        f"{len(denied)} commands are refused, such as {denied[0]}",
        "grant the user these commands and keys; docs/MESSAGE_QUEUE_DESIGN.md lists the keys",
    )


def judge_round_trip(median_ms: float, role: Role) -> Judgement:
    """Whether a question takes too long."""
    if median_ms <= SLOW_MS[role]:
        return ok(f"{median_ms:.1f} ms")
    mend = "see what the network between does" if role == "edge" else "let collectors run beside the broker"
    return warning(f"{median_ms:.0f} ms, more than {SLOW_MS[role]:g} ms", mend)


def judge_memory(memory: dict[str, Any]) -> Judgement:
    """Whether keys may be dropped."""
    policy = memory.get("maxmemory_policy")
    if policy is None:
        return warning("it does not tell its maxmemory-policy", f"see in its configuration that it is {broker.KEEPS_ALL}")
    if policy != broker.KEEPS_ALL:
        return failed(
            f"its maxmemory-policy is {policy}: it drops messages when its memory is full",
            f"set it to {broker.KEEPS_ALL}: `CONFIG SET maxmemory-policy {broker.KEEPS_ALL}`, and in its configuration",
        )
    return ok(f"its maxmemory-policy is {policy}")


def fault(error: redis.RedisError) -> Judgement:
    """What an error of the client means."""
    text = str(error)
    if isinstance(error, redis.AuthenticationError) or "NOAUTH" in text or "WRONGPASS" in text:
        return failed(
            f"user or password are refused: {text}",
            "set TELEMETRY_BROKER_PASSWORD_FILE, and the user in TELEMETRY_BROKER_URL, as the broker has them",
        )
    if isinstance(error, redis.exceptions.NoPermissionError):
        return failed(f"the user lacks a right: {text}", "grant it; docs/MESSAGE_QUEUE_DESIGN.md lists the keys")
    if "has become a replica" in text:
        return failed(text, "let TELEMETRY_BROKER_URL lead to the primary")
    if isinstance(error, redis.BusyLoadingError):
        return failed("it still loads its data", "wait until it has")
    return failed(
        f"it does not answer as a broker: {text}", "see whether this port is that of Redis, and with TLS if rediss://"
    )
