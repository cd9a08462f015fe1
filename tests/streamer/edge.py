"""An edge under a test's control: a real streamer on a real broker, and a centre that acknowledges when the test says so."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import redis

from telemetry.celery import make_app
from telemetry.progress import losses, reading
from telemetry.progress.acks import Ack, Acks, Held
from telemetry.progress.keys import Keys
from telemetry.progress.state import SourceState
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from telemetry.streamer.tick import Streamer
from tests.waiting import eventually

HEADER = "timestamp,metric_name,gpu_id,uuid,Hostname,value\n"


def rows(first: int, last: int) -> str:
    """Rows of one GPU, a second apart, their value their number; all of one length."""
    return "".join(
        f"2025-07-18T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z,DCGM_FI_DEV_GPU_UTIL,0,GPU-1,host-1,{n:06}\n"
        for n in range(first, last)
    )


class Edge:
    """What happens at the broker, seen from the centre."""

    def __init__(self, settings: Settings, client: redis.Redis) -> None:
        self.settings = settings
        self.client = client
        self.keys = Keys(settings.key_prefix)
        self.published: list[wire.Batch] = []

    @contextmanager
    def streamer(self, **changes: Any) -> Iterator[Streamer]:
        """A streamer process' streamer, given up at the end as at a shutdown."""
        app = make_app(replace(self.settings, **changes))
        made = Streamer(replace(self.settings, **changes), self.client, publisher(app, self.settings))
        try:
            yield made
        finally:
            made.close()
            app.close()

    def fetch(self) -> list[wire.Batch]:
        """Take what is in the queue, oldest first, without acknowledging it."""
        batches = []
        while message := self.client.rpop(self.settings.ingest_queue):
            assert isinstance(message, bytes)
            envelope = json.loads(message)
            (header, payload), _, _ = msgpack.unpackb(base64.b64decode(envelope["body"]))
            batches.append(wire.decode(header, payload))
        self.published += batches
        return batches

    def acknowledge(self, *batches: wire.Batch, generation: str = "") -> None:
        """Acknowledge batches as a collector does, one of before if it names no generation."""
        Acks(self.client, self.keys, 60).send(
            Ack(batch.edge, batch.source.id, batch.batch_id, "stored", generation) for batch in batches
        )

    def answer(self, question: wire.Batch, generation: str, held: Held) -> None:
        """Answer a question as a collector does."""
        Acks(self.client, self.keys, 60).send(
            [Ack(question.edge, question.source.id, question.batch_id, "held", generation, held)]
        )

    def states(self) -> list[SourceState]:
        """The states of the edge's sources, by path."""
        states = reading.sources(self.client, self.keys, self.settings.edge)
        return sorted(states.values(), key=lambda state: state.path)

    def committed(self, path: Path) -> int:
        """The committed offset of a source; 0 of one that is not known."""
        return next((state.window.committed for state in self.states() if state.path == str(path)), 0)

    def lost(self) -> list[tuple[int, int, str]]:
        """The ranges that are recorded as lost: from, to, why."""
        found = losses.of_edge(self.client, self.keys, self.settings.edge)
        return [(loss.lost.start, loss.lost.end, loss.lost.reason) for loss in found]


def values(batches: list[wire.Batch]) -> list[int]:
    """The values in batches: which rows they carry."""
    return [int(value) for batch in batches for value in batch.readings.values]


def append(path: Path, text: str) -> None:
    """Let a file grow."""
    with path.open("a") as file:
        file.write(text)


def commit_all(edge: Edge, streamer: Streamer, path: Path) -> None:
    """Tick and acknowledge until all of a file is committed."""

    def done() -> bool:
        streamer.tick(0)
        edge.acknowledge(*edge.fetch())
        return edge.committed(path) == path.stat().st_size

    eventually(done)
