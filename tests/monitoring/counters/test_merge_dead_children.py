"""What children have counted stays when they die, and their files do not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from telemetry.monitoring.counters import latency, merge_dead_children
from telemetry.monitoring.counters.latency import Ring
from tests.scrape import parse, total

# Counts in some children that it forks, and is killed with them.
PROGRAM = """
import os, sys
from telemetry.monitoring.counters import stations
for n in range(5):
    child = os.fork()
    if child == 0:
        stations.committed("a/n", "stored", {"stored": 7}, cluster="c")
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_what_the_dead_have_counted_is_kept_in_few_files(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for before in (0, 5):
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
        assert len([*tmp_path.glob("*_*.db")]) >= 10
        registry = CollectorRegistry()
        collector = merge_dead_children.MergedCounts(registry, tmp_path)
        for _ in range(2):
            shown = parse(generate_latest(registry).decode())
            assert total(shown, "telemetry_rows_committed_total", row_class="stored") == 7 * (before + 5)
            assert total(shown, "telemetry_batch_rows_bucket", le="10.0") == before + 5
        assert sorted(path.name for path in tmp_path.glob("*.db")) == ["counter_0.db", "histogram_0.db"]
        assert collector


def test_rings_of_the_dead_go_when_their_minute_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Ring(tmp_path)
    mine.add("a", 1.0)
    child = os.fork()
    if child == 0:
        mine.add("a", 3.0)
        os._exit(0)
    os.waitpid(child, 0)
    merge_dead_children.merge(tmp_path)
    assert mine.medians() == {"a": 2.0}
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + latency.WINDOW_S + 1)
    merge_dead_children.merge(tmp_path)
    assert [latency.writer(path) for path in tmp_path.glob(latency.PATTERN)] == [os.getpid()]
