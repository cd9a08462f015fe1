"""`telemetry systemd`: its units are what systemd reads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this machine has no systemd to ask")
def test_systemd_takes_the_units(telemetry: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    done = telemetry("systemd", "--directory", tmp_path, "--environment", tmp_path / "edge.env", "--user", "root")
    assert done.returncode == 0, done.stderr
    units = sorted(tmp_path.glob("*.service"))
    assert [unit.name for unit in units] == ["telemetry-beat.service", "telemetry-streamer.service"]
    checked = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False, timeout=60)
    assert not [line for line in checked.stderr.splitlines() if "telemetry-" in line]
    assert all("\nLimitNOFILE=65536\n" in unit.read_text() for unit in units)
    assert "-n streamer@%%h" in (tmp_path / "telemetry-streamer.service").read_text()


def test_a_directory_that_is_not_there_is_named(
    telemetry: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = telemetry("systemd", "--directory", tmp_path / "none")
    assert done.returncode == 2
    assert "none" in done.stderr
