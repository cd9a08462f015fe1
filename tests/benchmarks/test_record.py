"""`python -m benchmarks.record` measures each source, and the figures are of what was recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_each_source_is_recorded_and_measured(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.record", "--gpus", "2", "--seconds", "2", "--json", str(path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert figures.keys() == {"nvml", "scrape", "nvidia-smi", "amd-smi", "nvidia-smi, a process a turn"}
    assert all(f"| {name} |" in done.stdout for name in figures)
    assert all(each["readings"] > 0 and each["mib"] > 5 for each in figures.values())
    assert figures["nvidia-smi"]["tool_mib"] > 1
    assert (figures["nvml"]["tool_mib"], figures["scrape"]["tool_cpu"]) == (0, 0)
