"""The median of the last minute."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from telemetry.monitoring.counters.latency import Ring


@pytest.fixture(params=["memory", "files"])
def ring(request: pytest.FixtureRequest, tmp_path: Path) -> Ring:
    return Ring(tmp_path if request.param == "files" else None)


def at(monkeypatch: pytest.MonkeyPatch, second: float) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + second)


def test_nothing_flowed_is_no_median(ring: Ring) -> None:
    assert ring.medians() == {}


def test_a_median_for_each_cluster(ring: Ring) -> None:
    for value in (0.1, 0.2, 5.0):
        ring.add("a", value)
    ring.add("b", 0.0)
    assert ring.medians() == {"a": 0.2, "b": 0.0}


def test_what_is_older_than_a_minute_is_forgotten(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 0)
    ring.add("a", 9.0)
    at(monkeypatch, 30)
    ring.add("a", 1.0)
    assert ring.medians() == {"a": 5.0}
    at(monkeypatch, 60)
    assert ring.medians() == {"a": 1.0}
    at(monkeypatch, 90)
    assert ring.medians() == {}


def test_a_busy_second_is_a_fair_sample_of_itself(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 0)
    for _ in range(1000):
        ring.add("a", 0.01)
    at(monkeypatch, 1)
    ring.add("a", 4.0)
    assert ring.medians() == {"a": 0.01}
    for value in range(100):
        ring.add("b", value)
    assert 0 < ring.medians()["b"] < 99


def test_a_small_cluster_is_not_pushed_out_by_a_large_one(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 0)
    ring.add("small", 3.0)
    for _ in range(10_000):
        ring.add("large", 0.01)
    assert ring.medians() == {"large": 0.01, "small": 3.0}


def test_a_long_name_is_cut_and_a_strange_one_kept(ring: Ring) -> None:
    ring.add("ä" * 60, 1.0)
    assert list(ring.medians().values()) == [1.0]


def test_forked_processes_count_together(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    ring.add("a", 1.0)
    for value in (2.0, 3.0):
        child = os.fork()
        if child == 0:
            ring.add("a", value)
            os._exit(0)
        os.waitpid(child, 0)
    assert ring.medians() == {"a": 2.0}
    assert len(list(tmp_path.iterdir())) == 3
