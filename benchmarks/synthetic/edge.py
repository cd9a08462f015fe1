"""One synthetic edge: what beat, worker and streamer of a real one say to the broker at each tick.

`begin` sends beat's tick, takes it as the worker does, and asks for acknowledgements; `go_on` saves the window, drops the
acknowledgements and publishes what is due, as far as the window has room. The commands are those that MONITOR shows of a real
edge (a test compares them), but in two round trips for its seven, and it waits for its next tick without a pending BLMPOP: a
worker sends one each second, and where ticks are rarer an LLEN stands for each of the others. Sending and reading are apart,
so that many edges wait together.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import redis
from msgspec.structs import replace

from benchmarks.bench import BenchError
from benchmarks.synthetic import payloads
from benchmarks.synthetic.envelope import Envelope
from benchmarks.synthetic.line import END, MARK, Line, hash_keys, pack
from benchmarks.synthetic.payloads import BATCH_BYTES, FINGERPRINT, Payloads
from telemetry.progress.claims import REMEMBER_S, SAVE, Claims
from telemetry.progress.flight import Flight
from telemetry.progress.keys import Keys
from telemetry.progress.state import FirstRecord, Inode, Prefix, SourceState, encode
from telemetry.progress.window import Window
from telemetry.settings import Settings
from telemetry.streamer.membership import LIVE

# https://docs.celeryq.dev/en/stable/reference/celery.worker.heartbeat.html: of a worker, each 2 s.
HEARTBEAT_S = 2
EVENTS = "/0.celeryev/"
EVENT = json.dumps({"body": "e" * 400, "content-encoding": "utf-8", "content-type": "application/json", "properties": {}})
SAVED = b"*2\r\n$5\r\nsaved\r\n"


class Edge:
    """Publishes what is due, and waits for its acknowledgement.

    `owed`, `published` and `acked` count batches: those that are due, are sent, are stored. `sent_s` is when each was sent,
    `acks` is the key of the acknowledgements, `client` one of its broker.
    """

    def __init__(self, number: int, settings: Settings, client: redis.Redis, envelope: Envelope, batches: Payloads) -> None:
        self.owed = self.acked = self.published = 0
        self.sent_s: list[float] = []
        self.client = client
        self._ticks = 0
        self._number = number
        self._settings = settings
        self._envelope = envelope
        self._batches = batches
        self._flights: dict[str, Flight] = {}
        self._committed = 0
        keys, name, self._source_id = Keys(settings.key_prefix), payloads.name(number), f"{number:032x}"
        self._source, self.acks = keys.source(name, self._source_id), keys.acks(name, self._source_id)
        self._script = client.script_load(SAVE)
        self._owner = f"fleet:{number}"
        self._claims = Claims(client, keys, name, self._owner, settings.lease_s)
        self._lines: list[Line] = []
        self.open()
        # What is the same at each tick is packed once.
        self._look = pack(MARK, ("HGETALL", self.acks), END)
        self._begin = self._tick(keys, name, client.script_load(LIVE)) + self._look

    def _tick(self, keys: Keys, name: str, live: str) -> bytes:
        queue = f"{self._settings.key_prefix}.tick.{name}"
        _, tick = self._envelope.around()
        return pack(
            ("EVALSHA", live, 1, keys.streamers(name), self._settings.lease_s * 1000, ""),
            ("LLEN", queue),
            ("LPUSH", queue, tick),
            ("BLMPOP", 1, 1, queue, "RIGHT", "COUNT", 1),
            *[("LLEN", queue)] * (self._batches.shape.interval_s - 1),
            ("GET", keys.epoch()),
            ("GET", keys.generation()),
            ("GET", keys.database_clock()),
            ("TIME",),
        )

    def begin(self) -> None:
        """Tick, and ask for acknowledgements."""
        self._lines[0].send(self._begin)

    def go_on(self) -> None:
        """Take the acknowledgements in, save, publish what is due."""
        acked = hash_keys(self._lines[0].answers())
        self._acknowledge(acked)
        messages = list(self._due())
        state = encode(self._state())
        saved = (self._token, self._settings.lease_s * 1000, REMEMBER_S)
        commands: list[tuple[Any, ...]] = [
            ("EVALSHA", self._script, 2, self._source, self.acks, *saved, state, self._owner, repr(time.monotonic()), *acked),
        ]
        commands += [("LPUSH", self._settings.ingest_queue, message) for message in messages]
        seconds, self._ticks = self._batches.shape.interval_s, self._ticks + 1
        beats = self._ticks * seconds // HEARTBEAT_S - (self._ticks - 1) * seconds // HEARTBEAT_S
        commands += [("PUBLISH", f"{EVENTS}worker.heartbeat", EVENT)] * beats
        self._lines[0].send(pack(*commands, END))

    def end(self) -> None:
        """See that the window was saved."""
        answers = self._lines[0].answers()
        if not answers.startswith(SAVED):
            raise BenchError(f"synthetic edge {self._number} could not save its window: {answers[:100]!r}")

    def look(self) -> None:
        """Only take in what is acknowledged."""
        self._lines[0].send(self._look)
        self._acknowledge(hash_keys(self._lines[0].answers()))

    def open(self, connections: int = 1) -> None:
        """Connect, and claim the source, as a streamer does that starts."""
        self.connect(connections)
        claim = self._claims.claim(self._source_id, self._state())
        assert claim is not None, "nobody else has the name"  # noqa: S101
        self._token = claim.token

    def connect(self, connections: int) -> None:
        """Hold so many connections; all but the first are idle."""
        self._lines += [Line(self.client) for _ in range(connections - len(self._lines))]

    @property
    def connections(self) -> int:
        """How many it holds."""
        return len(self._lines)

    def close(self) -> None:
        """Hang up."""
        for line in self._lines:
            line.close()
        self._lines.clear()

    def _acknowledge(self, batch_ids: list[str]) -> None:
        for batch_id in batch_ids:
            if batch_id in self._flights and not self._flights[batch_id].acked:
                self._flights[batch_id] = replace(self._flights[batch_id], acked=True)
                self.acked += 1
        for batch_id, flight in list(self._flights.items()):
            if not flight.acked:
                break
            self._committed = flight.end
            del self._flights[batch_id]

    def _due(self) -> Iterator[bytes]:
        """The batches that are due, as messages, as far as the window has room."""
        while (
            self.published < self.owed and (self.published + 1) * BATCH_BYTES - self._committed <= self._settings.window_bytes
        ):
            yield self._next()

    def _next(self) -> bytes:
        """The next batch as a message."""
        header, payload = self._batches.read(self._number, self.published)
        now_s, now_us = time.monotonic(), time.time_ns() // 1000
        self.sent_s.append(now_s)
        header |= {"read_at": now_us, "published_at": now_us}
        start, end, line = header["start"], header["end"], header["first_line"]
        batch_id: str = header["batch_id"]
        lines = line + payloads.ROWS
        self._flights[batch_id] = Flight(batch_id, start, end, line, lines, now_s, "fleet", "fleet", now_us)
        self.published += 1
        return self._envelope.around(header, payload)[1]

    def _state(self) -> SourceState:
        """What a streamer keeps of a source."""
        line = 2 + self._committed // BATCH_BYTES * payloads.ROWS
        return SourceState(
            path=f"/telemetry/fleet-{self._number}.csv",
            fingerprint=FINGERPRINT,
            foreign=False,
            inode=Inode(1, self._number),
            first_record=FirstRecord(0, 2),
            size_bytes=self.published * BATCH_BYTES,
            window=Window(self._committed, line, tuple(self._flights.values())),
            rows_read=self.published * payloads.ROWS,
            prefix=Prefix(0, 0, FINGERPRINT),
            anchor_us=None,
        )
