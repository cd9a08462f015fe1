"""A small system of real processes around a folder of files: cheaper than a site, and none of its servers can be broken."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from telemetry.progress import losses, reading
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from tests.fixtures.services import Query
from tests.streamer.edge import HEADER
from tests.waiting import eventually

Verify = Callable[..., dict[str, int]]
INTERVAL = {"TELEMETRY_STREAM_INTERVAL_S": "0.2"}
PATIENCE_S = 60.0


@dataclass
class Flow:
    """A collector and one edge, which reads the files of `folder`."""

    folder: Path
    settings: Settings
    client: redis.Redis
    query: Query
    verify: Verify
    start_edge: Callable[..., Any]

    def begin(self, pattern: str = "*.csv", **variables: str) -> Any:
        """Start the edge: its beat and its streamer."""
        return self.start_edge(self.folder / pattern, **{**INTERVAL, **variables})

    def write(self, name: str, *text: str, header: str = HEADER) -> Path:
        """A file, with its directories."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(header + "".join(text))
        return path

    def committed(self, path: Path, edge: str = "") -> int:
        """How far the edge believes a file to be stored."""
        states = reading.sources(self.client, Keys(self.settings.key_prefix), edge or self.settings.edge).values()
        return max((state.window.committed for state in states if state.path == str(path)), default=0)

    def await_committed(self, *paths: Path, edge: str = "") -> None:
        """Wait until files are stored to their last byte."""
        for path in paths:
            size = path.stat().st_size
            eventually(lambda path=path, size=size: self.committed(path, edge) == size, PATIENCE_S, what=f"{path.name} stored")  # type: ignore[misc]

    def lost(self) -> list[Any]:
        """What is recorded as lost."""
        return list(losses.of_edge(self.client, Keys(self.settings.key_prefix), self.settings.edge))

    def exact(self, *paths: Path) -> dict[str, int]:
        """What `verify` counts in files, of which nothing is missing, dead, in conflict, or there without a file."""
        counts = self.verify(*paths)
        assert {name: counts[name] for name in ("missing", "extra", "dead", "conflict") if counts[name]} == {}
        assert self.lost() == []
        return counts


@pytest.fixture
def flow(
    tmp_path: Path,
    settings: Settings,
    redis_client: redis.Redis,
    query: Query,
    verify: Verify,
    start_collector: Callable[..., subprocess.Popen[bytes]],
    start_edge: Callable[..., Any],
) -> Flow:
    """A collector that runs, and an edge that is to be begun."""
    folder = tmp_path / "sources"
    folder.mkdir()
    start_collector()
    return Flow(folder, settings, redis_client, query, verify, start_edge)
