"""The line that stands for many batches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telemetry.monitoring.counters import stations, summary
from telemetry.monitoring.counters.latency import Ring
from telemetry.monitoring.counters.summary import Settled, sentence
from tests.waiting import eventually


def settled(batches: dict[str, int], **rows: int) -> Settled:
    return Settled(Counter(rows), Counter(batches))


@pytest.mark.parametrize(
    ("passed", "median_s", "waiting", "line"),
    [
        (
            settled({"stored": 10}, stored=1000),
            0.0304,
            0,
            "1,000 rows stored in 10 s (100 rows/s), 30 ms after the edge sent them",
        ),
        (settled({}), None, 512, "0 rows stored in 10 s (0 rows/s), 512 batches waiting"),
        (
            settled({"known": 2}, quarantined=3),
            None,
            None,
            "0 rows stored in 10 s (0 rows/s), the broker does not answer, 3 put in quarantine, 2 batches came again",
        ),
        (
            settled({"dead": 1}, stored=1, quarantined=1, dead=7, conflict=1),
            None,
            1,
            "1 row stored in 10 s (0 rows/s), 1 batch waiting, 1 put in quarantine, 1 in conflict, 7 dead",
        ),
        (settled({}), None, 0, None),
        (settled({}), None, None, None),
    ],
)
def test_the_sentence(passed: Settled, median_s: float | None, waiting: int | None, line: str | None) -> None:
    assert sentence(passed, 10.004, median_s, waiting) == line


def test_only_what_came_since_counts() -> None:
    before = summary.settled()
    stations.committed("a/b", "stored", {"stored": 5, "quarantined": 1}, cluster="c")
    assert summary.settled().since(before) == settled({"stored": 1}, stored=5, quarantined=1)
    assert sentence(summary.settled().since(summary.settled()), 10, None, 0) is None


def test_the_median_is_of_all_clusters() -> None:
    ring = Ring(None)
    assert ring.median_of_last(10) is None
    for cluster, latency_s in (("a", 0.1), ("a", 0.2), ("b", 0.9)):
        ring.add(cluster, latency_s)
    assert ring.median_of_last(10) == 0.2
    assert ring.median_of_last(-10) is None


def test_a_collector_tells_of_its_children_once(
    start_collector: Callable[..., Any], telemetry: Callable[..., Any], tmp_path: Path
) -> None:
    sample = tmp_path / "sample.csv"
    telemetry("simulate", "--hosts", "1", "--gpus", "2", "--interval", "5", "--duration", "60", "-o", sample)
    rows = len(sample.read_text().splitlines()) - 1
    start_collector()
    assert telemetry("ingest", "--batch-size", "50", sample).returncode == 0
    log = tmp_path / "0-celery.log"

    def told() -> int:
        numbers = re.findall(r"INFO/MainProcess\] ([\d,]+) rows stored in 10 s \(", log.read_text())
        return sum(int(number.replace(",", "")) for number in numbers)

    eventually(lambda: told() == rows, 25)
