"""`telemetry systemd`: its units are what systemd reads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from telemetry.cli import main
from telemetry.cli.systemd import record_unit


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


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this machine has no systemd to ask")
def test_systemd_takes_the_unit_that_records(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9400/metrics?a=%20b"
    done = CliRunner().invoke(main, ["systemd", "--directory", str(tmp_path), "--record", str(tmp_path), "--scrape", url])
    assert done.exit_code == 0, done.output
    unit = tmp_path / "telemetry-record.service"
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    assert not [line for line in checked.stderr.splitlines() if "telemetry-" in line]
    assert f"record {tmp_path} --scrape http://127.0.0.1:9400/metrics?a=%%20b\n" in unit.read_text()
    assert f"TELEMETRY_SOURCES={tmp_path}/gpus-*.csv" in done.output


def test_a_tool_stands_in_the_unit_by_its_path_with_room_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "amd-smi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ["systemd", "--directory", str(tmp_path), "--record", str(tmp_path), "--tool"]
    assert CliRunner().invoke(main, [*options, "amd-smi"]).exit_code == 0
    unit = (tmp_path / "telemetry-record.service").read_text()
    assert f"record {tmp_path} --tool {program}\n" in unit
    assert "PrivateDevices=no\n" in unit
    assert "MemoryMax=512M\n" in unit
    assert " --tool nvidia-smi\n" in record_unit("telemetry", tmp_path, "", "nvidia-smi")
    for wrong, told in (([*options, "rocm-smi"], "is not one of"), ([*options[:3], "--tool", "nvidia-smi"], "are of --record")):
        done = CliRunner().invoke(main, wrong)
        assert (done.exit_code, told in done.output) == (2, True)


def test_the_driver_needs_its_devices(tmp_path: Path) -> None:
    assert "PrivateDevices=no\n" in record_unit("telemetry", tmp_path, "")
    assert "PrivateDevices=yes\n" in record_unit("telemetry", tmp_path, "http://127.0.0.1:9400/metrics")
