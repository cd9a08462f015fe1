"""Turns at an interval: what fails is a gap that is said once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from telemetry.record.files import Files
from telemetry.record.jobs import with_jobs
from telemetry.record.recording import record
from telemetry.record.taken import Gpu, SourceError, Taken


class Scripted:
    """A source that fails in some turns."""

    may_be_empty = False

    def __init__(self, failing: Iterable[int]) -> None:
        self.failing = set(failing)
        self.turn = -1

    def take(self) -> list[Taken]:
        """A reading whose value is the turn."""
        self.turn += 1
        if self.turn in self.failing:
            raise SourceError("it is away")
        return [Taken("M", Gpu("GPU-a", "0"), float(self.turn))]

    def close(self) -> None:
        """Nothing to close."""


def files(path: Path) -> Files:
    return Files(path, "gpus", 1 << 20, 1e9, 1 << 30)


def lines(path: Path) -> list[str]:
    return [line for each in sorted(path.glob("*.csv")) for line in each.read_text().splitlines()[1:]]


def test_a_turn_that_fails_is_a_gap_said_once_and_the_next_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done = record(Scripted({1, 2}), files(tmp_path), 0.01, threading.Event(), turns=5)
    assert (done.readings, done.turns, done.missed) == (3, 3, 2)
    assert [line.split(",")[10] for line in lines(tmp_path)] == ["0", "3", "4"]
    assert caplog.text.count("nothing is recorded: it is away") == 1
    assert caplog.text.count("recording again") == 1


def test_turns_keep_to_the_interval_and_end_when_they_are_told_to(tmp_path: Path) -> None:
    stopping = threading.Event()
    began_s = time.monotonic()
    record(Scripted(()), files(tmp_path), 0.1, stopping, turns=4)
    assert time.monotonic() - began_s >= 0.3
    stopping.set()
    assert record(Scripted(()), files(tmp_path), 0.1, stopping).turns == 0


def test_a_slurm_job_stands_at_the_gpus_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "0").write_text("4711\n4712\n")
    readings = [Taken("M", Gpu(f"GPU-{index}", index), 1.0) for index in ("0", "1", "")]
    assert [one.gpu.labels for one in with_jobs(readings, tmp_path)] == [{"hpc_job": "4711,4712"}, {}, {}]
