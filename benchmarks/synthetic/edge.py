"""One synthetic edge: what beat, worker and streamer of a real one say to the broker each second, in two round trips.

`begin` sends beat's tick, takes it as the worker does, and asks for acknowledgements; `go_on` saves the window, drops the
acknowledgements, publishes a batch if the window has room, and is done with the tick. The commands are those that MONITOR
shows of a real edge. Sending and reading are apart, so that many edges wait for the broker together.
"""

from __future__ import annotations

import json
import time
from typing import Any

import redis

from benchmarks.bench import BenchError
from benchmarks.synthetic import payloads
from benchmarks.synthetic.envelope import Envelope
from benchmarks.synthetic.payloads import BATCH_BYTES, FINGERPRINT, Payloads
from telemetry.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer.registry import REMEMBER_S, SAVE, Registry

Command = tuple[Any, ...]
EVENTS = "/0.celeryev/"
EVENT = json.dumps({"body": "e" * 400, "content-encoding": "utf-8", "content-type": "application/json", "properties": {}})


class Edge:
    """Publishes a batch a second, and waits for its acknowledgement. `acked` counts batches."""

    def __init__(self, number: int, settings: Settings, client: redis.Redis, envelope: Envelope, batches: Payloads) -> None:
        self.acked = self.published = 0
        self._number = number
        self._settings = settings
        self._envelope = envelope
        self._batches = batches
        self._name = payloads.name(number)
        self._source_id = f"{number:032x}"
        self._queue = f"{settings.key_prefix}.tick.{self._name}"
        self._keys = Keys(settings.key_prefix)
        self._unacked = self._keys.unacked(f"edge.{self._name}")
        self._flights: dict[str, list[Any]] = {}
        self._committed = 0
        self._tick = b""
        self._tick_id = ""
        self._script = client.script_load(SAVE)
        registry = Registry(client, self._keys, self._name, f"fleet:{number}", settings.lease_s)
        claim = registry.claim(self._source_id, self._state())
        assert claim is not None, "nobody else has the name"  # noqa: S101
        self._token = claim.token
        self._connections = [_connect(client)]
        self._waiting = 0

    def begin(self) -> None:
        """Tick, and ask for acknowledgements."""
        self._tick_id, self._tick = self._envelope.around()
        owned = self._unacked
        self._send(
            ("LPUSH", self._queue, self._tick),
            ("RPOP", self._queue),
            ("MULTI",),
            ("ZADD", owned["unacked_index_key"], time.time(), self._tick_id),
            ("HSET", owned["unacked_key"], self._tick_id, self._tick),
            ("EXEC",),
            ("PUBLISH", f"{EVENTS}task.multi", EVENT),
            ("SET", self._keys.epoch(), "fleet", "NX"),
            ("GET", self._keys.epoch()),
            ("TIME",),
            ("HGETALL", self._keys.acks(self._name, self._source_id)),
        )

    def go_on(self) -> None:
        """Take the acknowledgements in, publish the next batch, end the tick."""
        acked = _keys(self._answers()[-1])
        self._acknowledge(acked)
        message = self._next()
        owned = self._unacked
        state = json.dumps(self._state(), separators=(",", ":"))
        source = self._keys.source(self._name, self._source_id)
        commands: list[Command] = [
            ("EVALSHA", self._script, 1, source, self._token, self._settings.lease_s * 1000, REMEMBER_S, state),
            ("TIME",),
            ("HGETALL", self._keys.acks(self._name, self._source_id)),
            ("PUBLISH", f"{EVENTS}task.multi", EVENT),
            ("MULTI",),
            ("ZREM", owned["unacked_index_key"], self._tick_id),
            ("HDEL", owned["unacked_key"], self._tick_id),
            ("EXEC",),
        ]
        if acked:
            commands.append(("HDEL", self._keys.acks(self._name, self._source_id), *acked))
        if message:
            commands.append(("LPUSH", self._settings.ingest_queue, message))
        if self.published % 2:
            commands.append(("PUBLISH", f"{EVENTS}worker.heartbeat", EVENT))
        self._send(*commands)

    def end(self) -> None:
        """Read what the broker answered."""
        saved = self._answers()[0]
        if saved != b"saved":
            raise BenchError(f"{self._name} could not save its window: {saved!r}")

    def look(self) -> None:
        """Only take in what is acknowledged."""
        self._send(("HGETALL", self._keys.acks(self._name, self._source_id)))
        self._acknowledge(_keys(self._answers()[0]))

    def connect(self, client: redis.Redis, connections: int) -> None:
        """Hold so many connections; all but the first are idle."""
        self._connections += [_connect(client) for _ in range(connections - len(self._connections))]

    def close(self) -> None:
        """Hang up."""
        for connection in self._connections:
            connection.disconnect()

    def _send(self, *commands: Command) -> None:
        connection = self._connections[0]
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        self._waiting = len(commands)

    def _answers(self) -> list[Any]:
        return [self._connections[0].read_response() for _ in range(self._waiting)]

    def _acknowledge(self, batch_ids: list[str]) -> None:
        for batch_id in batch_ids:
            if batch_id in self._flights and not self._flights[batch_id][-1]:
                self._flights[batch_id][-1] = True
                self.acked += 1
        for batch_id, flight in list(self._flights.items()):
            if not flight[-1]:
                break
            self._committed = flight[2]
            del self._flights[batch_id]

    def _next(self) -> bytes | None:
        """The next batch as a message, None while the window is full."""
        if (self.published + 1) * BATCH_BYTES - self._committed > self._settings.window_bytes:
            return None
        header, payload = self._batches.read(self._number, self.published)
        now_s, now_us = time.monotonic(), time.time_ns() // 1000
        header |= {"read_at": now_us, "published_at": now_us}
        start, end, line = header["start"], header["end"], header["first_line"]
        batch_id: str = header["batch_id"]
        lines = line + payloads.ROWS
        self._flights[batch_id] = [batch_id, start, end, line, lines, now_s, "fleet", "fleet", now_us, 1, False]
        self.published += 1
        return self._envelope.around(header, payload)[1]

    def _state(self) -> dict[str, Any]:
        """What a streamer keeps of a source."""
        return {
            "path": f"/telemetry/fleet-{self._number}.csv",
            "fingerprint": FINGERPRINT,
            "foreign": False,
            "inode": [1, self._number],
            "size": self.published * BATCH_BYTES,
            "rows": self.published * payloads.ROWS,
            "begin": [0, 2],
            "anchor": None,
            "pass_end": 0,
            "prefix": [0, 0, FINGERPRINT],
            "first": None,
            "window": {
                "committed": self._committed,
                "line": 2 + self._committed // BATCH_BYTES * payloads.ROWS,
                "flights": list(self._flights.values()),
            },
        }


def _connect(client: redis.Redis) -> Any:
    # Not through the pool, which has a limit. Any: redis-py leaves the methods of its connections without types.
    pool = client.connection_pool
    connection: Any = pool.connection_class(**pool.connection_kwargs)
    connection.connect()
    return connection


def _keys(reply: Any) -> list[str]:
    """The keys of a hash, however the protocol's version shows it."""
    found = reply[::2] if isinstance(reply, list) else reply
    return [each.decode() for each in found]
