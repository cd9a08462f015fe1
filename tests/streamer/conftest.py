"""An edge with one file of 35 rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import redis

from telemetry.settings import Settings
from tests.streamer.edge import HEADER, Edge, rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the edge's sources are."""
    made = tmp_path / "sources"
    made.mkdir()
    return made


@pytest.fixture
def edge(settings: Settings, redis_client: redis.Redis, folder: Path) -> Edge:
    """The edge."""
    return Edge(replace(settings, sources=(str(folder / "*.csv"),), batch_size=10, catch_up_size=10), redis_client)


@pytest.fixture
def file(folder: Path) -> Path:
    """A source of it."""
    path = folder / "a.csv"
    path.write_text(HEADER + rows(0, 35))
    return path
