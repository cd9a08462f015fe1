"""The benchmark runs: each case, tiny, so that it keeps step with the product."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cases import CASES

ROOT = Path(__file__).parents[2]
# Apart, so that they can run side by side.
SOME = (
    ("copy", "text", "orm", "large", "fleet", "smi"),
    ("thousands",),
    ("small", "always", "messages", "latency"),
    ("history", "edge", "outage", "large_files", "shared_file"),
    ("api", "metrics"),
)


def test_no_case_is_left_out() -> None:
    assert sorted(case for some in SOME for case in some) == sorted(CASES)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("some", SOME, ids=lambda some: some[0])
def test_a_tiny_benchmark_measures_what_it_says(tmp_path: Path, some: tuple[str, ...]) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--scale", "0.00001", "--rounds", "1", "--json", str(path)]
    only = [word for case in some for word in ("--only", case)]
    done = subprocess.run([*command, *only], cwd=ROOT, capture_output=True, text=True, check=False, timeout=220)
    assert done.returncode == 0, done.stderr
    assert "| goal | asked | measured | rounds | |" in done.stdout
    run = json.loads(path.read_text())
    assert set(run["rounds"]) == set(some)
    rates = {name: value for name, value in run["medians"].items() if name.endswith("_per_s")}
    assert all(value > 1 for value in rates.values()), rates
    if "fleet" in some:
        see_the_fleet(run)
    if "thousands" in some:
        see_the_thousands(run)


def see_the_fleet(run: dict[str, Any]) -> None:
    medians = run["medians"]
    assert medians["large.rows_per_message"] == 2000, "the whole of a file that small"
    assert medians["fleet.edges"] == 6
    assert medians["fleet.connections"] >= 12, "an edge has more than one"
    assert medians["fleet.rows_astray"] == 0
    assert len(run["traces"]["fleet: rows due and not acknowledged"]) == 2
    assert {goal["holds"] for goal in run["goals"]} == {None}


def see_the_thousands(run: dict[str, Any]) -> None:
    medians = run["medians"]
    assert (medians["thousands.edges"], medians["thousands.seconds"]) == (5, 20)
    for name in ("one", "two"):
        assert medians[f"thousands.{name}_rows_astray"] == 0
        assert medians[f"thousands.{name}_acknowledged_share"] == 1
        assert medians[f"thousands.{name}_caught_up_s"] < 60
        assert medians[f"thousands.{name}_broker_memory_mib"] > 0
    assert medians["thousands.one_connections"] >= 5 * 7
    assert {goal["holds"] for goal in run["goals"]} == {None}
