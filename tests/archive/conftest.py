"""What the tests of the archive share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from telemetry.archive.places import Place
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from tests.fixtures.services import Services, create, database_name, drop


@pytest.fixture
def writer(settings: Settings, engine: Engine) -> BatchWriter:
    """What stores readings."""
    return BatchWriter(settings, engine)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A directory for an archive."""
    return Place.of(str(tmp_path / "archive"))


@pytest.fixture
def other_url(services: Services, server: psycopg.Connection[Any], at: Callable[[str], str], template: str) -> Iterator[str]:
    """A second database, which knows nothing."""
    name = database_name(services, uuid.uuid4().hex[:12])
    create(server, name, template)
    yield at(name)
    drop(server, name)


@pytest.fixture
def other(environ: dict[str, str], other_url: str) -> Iterator[Engine]:
    """An engine on it."""
    made = make_engine(Settings.load(environ | {"TELEMETRY_DATABASE_URL": other_url}), application="test")
    yield made
    made.dispose()
