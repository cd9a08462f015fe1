"""A tool that runs on: what it writes is given in whole lines, and one that fails, is silent or hangs is told and ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from telemetry.record.taken import SourceError
from telemetry.record.tool import MOST_BYTES, EndedError, Tool
from tests.record.tools import tool
from tests.waiting import eventually


@contextmanager
def running(directory: Path, body: str, patience_s: float = 20.0) -> Iterator[Tool]:
    """A tool that does what the body says."""
    started = Tool(patience_s, threading.Event())
    started.start([tool(directory, "amd-smi", body)])
    yield started
    started.close()
    assert not started.is_running


def test_lines_are_whole_and_those_that_come_together_are_given_together(tmp_path: Path) -> None:
    body = "say('a', 'b'); os.write(1, b'c'); time.sleep(0.3); say('d'); forever()"
    with running(tmp_path, body) as started:
        assert started.lines() == ["a", "b"]
        assert started.lines() == ["cd"]


def test_what_it_ended_with_is_told_after_what_it_wrote_and_half_a_line_says_nothing(tmp_path: Path) -> None:
    body = "say('a'); os.write(1, b'105'); os.write(2, b'\\nno \\x1b[31mdriver\\n\\n'); sys.exit(9)"
    with running(tmp_path, body) as started:
        assert started.lines() == ["a"]
        with pytest.raises(EndedError, match=r"^amd-smi ended with 9: no  \[31mdriver$"):
            started.lines()
        assert not started.is_running


def test_one_that_a_signal_ended_is_told_by_its_number(tmp_path: Path) -> None:
    with running(tmp_path, "os.kill(os.getpid(), 9)") as started, pytest.raises(EndedError, match="ended with -9"):
        started.lines()


def test_one_that_is_silent_is_ended_with_what_it_started(tmp_path: Path) -> None:
    body = "import subprocess; subprocess.Popen(['sleep', '600']); say('a'); forever()"
    with running(tmp_path, body, patience_s=1.0) as started:
        assert started.lines() == ["a"]
        (mine,) = [each for each in psutil.Process().children() if "amd-smi" in " ".join(each.cmdline())]
        processes = [mine, *mine.children(recursive=True)]
        assert len(processes) == 2
        with pytest.raises(SourceError, match="has written nothing for 1 s, and was ended"):
            started.lines()
        eventually(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes))


def test_one_that_writes_without_end_is_ended(tmp_path: Path) -> None:
    body = "while True: os.write(1, b'x' * 65536)"
    with running(tmp_path, body) as started, pytest.raises(SourceError, match=f"a line of more than {MOST_BYTES} bytes"):
        started.lines()
    body = "while True: say('x')"
    with running(tmp_path, body) as started:
        assert set(started.lines()) == {"x"}


def test_words_on_standard_error_alone_are_no_lines_and_do_not_fill_a_pipe(tmp_path: Path) -> None:
    body = "[os.write(2, b'warning\\n' * 8192) for _ in range(32)]; say('a'); forever()"
    with running(tmp_path, body) as started:
        assert started.lines() == ["a"]


def test_one_that_is_missing_or_may_not_be_run_is_named(tmp_path: Path) -> None:
    started = Tool(1.0, threading.Event())
    with pytest.raises(SourceError, match=r"nvidia-smi cannot be run: No such file .*--tool PATH"):
        started.start([str(tmp_path / "nvidia-smi")])
    (tmp_path / "nvidia-smi").write_text("no program")
    with pytest.raises(SourceError, match="nvidia-smi cannot be run: Permission denied"):
        started.start([str(tmp_path / "nvidia-smi")])
    assert not started.is_running


def test_one_that_no_signal_ends_is_not_started_beside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [tool(tmp_path, "amd-smi", "forever()")]
    kill = os.killpg
    with monkeypatch.context() as patched:
        # As of a process that waits for its driver, in a state of the kernel that no test can make.
        patched.setattr("telemetry.record.tool.GO_S", 0.1)
        patched.setattr(os, "killpg", lambda *_: None)
        started = Tool(0.2, threading.Event())
        started.start(command)
        (pid,) = [each.pid for each in psutil.Process().children() if command[0] in each.cmdline()]
        with pytest.raises(SourceError, match="has written nothing"):
            started.lines()
        with pytest.raises(SourceError, match="amd-smi hangs, and no signal ends it"):
            started.start(command)
    kill(pid, 9)
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    started.start(command)
    started.close()


def test_it_stops_waiting_when_the_recording_is_to_stop(tmp_path: Path) -> None:
    with running(tmp_path, "forever()") as started:
        threading.Timer(0.2, started.stopping.set).start()
        began_s = time.monotonic()
        assert started.lines() == []
        assert time.monotonic() - began_s < 10
