"""An edge with one file of 35 rows; a pool of processes, and files for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from telemetry.readings.source_settings import SourceSettings
from telemetry.settings import Settings
from telemetry.streamer import shared
from telemetry.streamer.source import SourceFile
from tests.streamer import pools
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


@pytest.fixture(scope="package")
def forks() -> Iterator[pools.Seen]:
    """Two processes for all tests of these files."""
    with pools.started() as made:
        yield made


@pytest.fixture
def pool(forks: pools.Seen, small_parts: None) -> pools.Seen:
    """A pool that was asked for nothing yet."""
    forks.begun, forks.behind = [], None
    return forks


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file has many parts."""
    monkeypatch.setattr(shared, "PART_BYTES", pools.PART_BYTES)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., SourceFile]]:
    """Opens a file with some text, which is closed unless `final` says that it grows."""
    sources: list[SourceFile] = []

    def open_(text: str, *, final: bool = True) -> SourceFile:
        path = tmp_path / f"{len(sources)}.csv"
        path.write_text(text)
        settings = SourceSettings(time_zone="UTC")
        source = SourceFile.open(path, max_record=pools.READER.max_record, final=final, settings=settings)
        assert source is not None
        sources.append(source)
        return source

    yield open_
    for source in sources:
        source.close()
