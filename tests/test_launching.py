"""A command that is forked is to its test what one is that was started: output, exit code, signals, directory, environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import launching
from tests.waiting import eventually

BEAT = ("celery", "-A", "telemetry", "beat", "-l", "info")
AWAY = {"TELEMETRY_BROKER_URL": "redis://127.0.0.1:1/0", "TELEMETRY_ROLE": "edge"}


def test_output_and_exit_code_are_those_of_the_command() -> None:
    helped = launching.run(("telemetry", "--help"), os.environ, 30)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "Usage: telemetry" in helped.stdout
    refused = launching.run(("telemetry", "stauts"), os.environ, 30)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "did you mean 'status'?" in refused.stderr


def test_it_has_the_environment_that_it_is_given_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEMETRY_BACH_SIZE", "1")
    told = launching.run(("telemetry", "formats"), os.environ, 30)
    assert "TELEMETRY_BACH_SIZE" in told.stderr
    monkeypatch.delenv("TELEMETRY_BACH_SIZE")
    assert launching.run(("telemetry", "formats"), os.environ, 30).stderr == ""


def test_it_runs_in_its_directory_and_session_until_a_signal_ends_it(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = launching.start(BEAT, os.environ | AWAY, tmp_path, log)
    try:
        eventually(lambda: b"beat: Starting..." in (tmp_path / "log").read_bytes(), 30)
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        assert os.getsid(process.pid) == process.pid
        assert psutil.Process(process.pid).cwd() == str(tmp_path)
    finally:
        process.kill()
    assert process.wait(10) == process.poll() == -signal.SIGKILL
    assert not psutil.pid_exists(process.pid)
    process.terminate()


def test_what_is_read_when_a_process_starts_makes_it_start_anew(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('customized')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    assert launching.run(("telemetry", "--help"), os.environ | {"PYTHONPATH": path}, 30).stdout.startswith("customized\n")


def test_commands_that_do_not_end_are_ended(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        launching.run(BEAT, os.environ | AWAY, 3)


def test_the_launcher_ends_with_who_has_started_it() -> None:
    code = (
        "import os, psutil; from tests import launching; launching.launcher();"
        "print(psutil.Process().children()[0].pid, flush=True); os._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    eventually(lambda: not psutil.pid_exists(int(done.stdout)), 30)
