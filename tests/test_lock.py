"""A lock names its holder, and ends with the last process that has its file open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from telemetry import lock
from tests.waiting import eventually

HOLD = (
    "import sys, pathlib; from telemetry import lock; file = lock.hold(pathlib.Path(sys.argv[1])); print(flush=True); input()"
)


def test_a_directory_is_locked_while_the_file_is_open(tmp_path: Path) -> None:
    assert not lock.is_held(tmp_path)
    with lock.hold(tmp_path):
        assert lock.is_held(tmp_path)
        assert (tmp_path / lock.NAME).read_text() == f"{os.getpid()}\n"
    assert not lock.is_held(tmp_path)


def test_another_holder_is_named_and_a_killed_one_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(lock.HeldError, match=f"held by process {holder.pid}"):
            lock.hold(tmp_path)
        holder.kill()
    lock.hold(tmp_path).close()


def test_what_a_child_of_a_dead_holder_locks_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = lock.hold(tmp_path)
    child = subprocess.Popen(["sleep", "0.3"], pass_fds=[file.fileno()])
    file.close()
    lock.hold(tmp_path).close()
    assert child.wait() == 0
    # Not for ever.
    monkeypatch.setattr(lock, "ORPHANS_S", 0.1)
    file = lock.hold(tmp_path)
    child = subprocess.Popen(["sleep", "60"], pass_fds=[file.fileno()])
    file.close()
    with pytest.raises(lock.HeldError):
        lock.hold(tmp_path)
    child.kill()
    child.wait()
    eventually(lambda: not lock.is_held(tmp_path))
