"""The benchmark of the store runs on a tiny fleet, and has a figure for each form and question."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT


@pytest.mark.slow
def test_what_is_archived_dropped_and_read_back_is_what_was_loaded() -> None:
    command = [sys.executable, "-m", "benchmarks.store.archive", "--gpus", "1", "--days", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    loaded, there = (
        line.split(" ", 1)[1].strip() for line in done.stdout.splitlines() if line.startswith(("loaded 3", "there"))
    )
    assert loaded == there
    assert f"{2 * 28 * 5760:,} samples" in there


@pytest.mark.slow
def test_a_tiny_fleet_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    sizes = ["--gpus", "2", "--layout-gpus", "2", "--fleet-gpus", "2", "--year-days", "3"]
    command = [sys.executable, "-m", "benchmarks.store", *sizes, "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert len(figures["layouts"]) % 9 == 0
    days = figures["days"]
    assert {
        "stored_beside_sealing_ratio",
        "api_heat_map_to_sql_ratio",
        "api_day_of_one_ratio",
        "api_year_of_one_by_hour_ms",
        "api_day_of_one_x3_ratio",
    } <= set(days)
    assert days["samples"] == 2 * 28 * 5760
    assert days["sealed_bytes_a_sample"] < 4 < days["rows_bytes_a_sample"]
    assert min(days.values()) > 0
