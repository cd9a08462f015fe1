"""The benchmark runs: a tiny one, so that it keeps step with the product."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEW = ("copy", "text", "orm", "large", "messages", "fleet")


@pytest.mark.timeout(240)
def test_a_tiny_benchmark_measures_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--scale", "0.00001", "--rounds", "1", "--json", str(path)]
    only = [word for case in FEW for word in ("--only", case)]
    done = subprocess.run([*command, *only], cwd=ROOT, capture_output=True, text=True, check=False, timeout=220)
    assert done.returncode == 0, done.stderr
    assert "| goal | asked | measured | |" in done.stdout
    run = json.loads(path.read_text())
    assert set(run["rounds"]) == set(FEW)

    medians = run["medians"]
    rates = {name: value for name, value in medians.items() if name.endswith("_per_s")}
    assert len(rates) == 8
    assert all(value > 10 for value in rates.values()), rates
    assert medians["large.rows_per_message"] == 2000, "the whole of a file that small"
    assert medians["fleet.edges"] == 6
    assert medians["fleet.connections"] >= 12, "an edge has more than one"
    assert len(run["traces"]["fleet: rows due and not acknowledged"]) == 2
    assert len(run["goals"]) == 5
