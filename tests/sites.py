"""A file that is streamed and stored within the test's own process, one tick at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import redis
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import Edge


def pass_on(edge: Edge, streamer: Streamer, collector: Collector) -> list[str]:
    """Tick once, and store what was published; what became of each batch."""
    streamer.tick(0)
    return [collector.persist(*wire.encode(batch)).status for batch in edge.fetch()]


def passed_on(edge: Edge, streamer: Streamer, collector: Collector, path: Path) -> bool:
    """Pass new batches on, and say whether all of a file is committed by now."""
    assert {"stored"} >= set(pass_on(edge, streamer, collector))
    return edge.committed(path) == path.stat().st_size


@dataclass
class Site:
    """A file, what streams it, and what stores it."""

    path: Path
    edge: Edge
    streamer: Streamer
    collector: Collector
    engine: Engine
    settings: Settings
    client: redis.Redis

    def go_on(self) -> None:
        """Tick once, and store what was published."""
        pass_on(self.edge, self.streamer, self.collector)

    def is_committed(self) -> bool:
        """Whether all is committed after a tick."""
        self.go_on()
        return self.edge.committed(self.path) == self.path.stat().st_size

    def number(self) -> int:
        """How many samples there are."""
        with self.engine.connect() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM stored_samples('-infinity', 'infinity')")) or 0)

    def run(self, statement: str) -> int:
        """Change the database behind everybody's back. Returns how many rows were changed."""
        with self.engine.begin() as connection:
            return connection.execute(text(statement)).rowcount


@contextmanager
def site_of(path: Path, settings: Settings, engine: Engine, client: redis.Redis) -> Iterator[Site]:
    """Streams and stores a file, in small batches."""
    mine = replace(settings, sources=(str(path),), batch_size=50, catch_up_size=50, lease_s=1)
    edge = Edge(mine, client)
    store = Collector(mine, engine, Acks(client, Keys(settings.key_prefix), 60))
    with edge.streamer() as streamer:
        yield Site(path, edge, streamer, store, engine, mine, client)
