"""A broker that drops keys is warned of when a worker starts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.local.servers import Valkey
from tests.fixtures.processes import Start
from tests.waiting import eventually


@pytest.fixture
def own_broker() -> Iterator[Valkey]:
    """A broker that may have another policy than all others."""
    options = {"maxmemory-policy": "allkeys-lru"}
    with tempfile.TemporaryDirectory(prefix="telemetry-evict-") as name, Valkey(Path(name) / "valkey", options) as valkey:
        yield valkey


@pytest.mark.parametrize("role", ["edge", "central"])
def test_a_worker_warns_once_when_it_starts(start: Start, own_broker: Valkey, role: str, tmp_path: Path) -> None:
    start(
        *("celery", "-A", "telemetry", "worker", "--without-gossip", "--without-mingle", "--concurrency", "1", "-l", "info"),
        TELEMETRY_ROLE=role,
        TELEMETRY_BROKER_URL=own_broker.url,
    )
    (log,) = tmp_path.glob("*.log")
    eventually(lambda: " ready." in log.read_text(), 30)
    warning = "maxmemory-policy of the broker is allkeys-lru: it drops messages when its memory is full; set it to noeviction"
    assert log.read_text().count(warning) == 1
