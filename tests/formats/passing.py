"""A file on its way from an edge to the database, without workers."""

from __future__ import annotations

from pathlib import Path

from telemetry.collector.persist import Collector
from telemetry.readings import wire
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import Edge


def passed_on(edge: Edge, streamer: Streamer, collector: Collector, path: Path) -> bool:
    """Tick once, store what was published, and say whether all of a file is committed by now."""
    streamer.tick(0)
    for batch in edge.fetch():
        assert collector.persist(*wire.encode(batch)).status == "stored"
    return edge.committed(path) == path.stat().st_size
