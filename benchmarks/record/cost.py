"""What a recording costs: its share of a core and its memory, and those of the tool that it runs, while it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.bench import BenchError
from benchmarks.record.sources import Recorded

MIB = 1 << 20
BEGIN_S = 60.0
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Cost:
    """Readings a turn; shares of a core in percent, and the most MiB: our own, and the tool's."""

    readings: float
    cpu: float
    mib: float
    tool_cpu: float
    tool_mib: float


@dataclass(slots=True)
class _Now:
    """CPU seconds so far, and MiB."""

    cpu_s: float
    mib: float
    tool_cpu_s: float
    tool_mib: float


def measure(source: Recorded, directory: Path, interval_s: float, seconds: float) -> Cost:
    """Record for so long, and measure from after the first turns on. Raises BenchError if nothing was recorded."""
    process = subprocess.Popen(
        [*source.command, str(directory), "--interval", f"{interval_s:g}"],
        env=os.environ | source.variables,
        stdout=subprocess.DEVNULL,
    )
    try:
        _await_turns(process, directory)
        before, begun_lines, begun_s = _now(process.pid), _lines(directory), time.monotonic()
        most = [before]
        while time.monotonic() - begun_s < seconds:
            time.sleep(POLL_S)
            most.append(_now(process.pid))
        after, passed_s = most[-1], time.monotonic() - begun_s
        lines = _lines(directory) - begun_lines
    finally:
        process.terminate()
        process.wait(30)
    if not lines:
        raise BenchError("nothing was recorded")
    return Cost(
        readings=lines / (passed_s / interval_s),
        cpu=100 * (after.cpu_s - before.cpu_s) / passed_s,
        mib=max(each.mib for each in most),
        tool_cpu=100 * (after.tool_cpu_s - before.tool_cpu_s) / passed_s,
        tool_mib=max(each.tool_mib for each in most),
    )


def of_formats() -> float:
    """The MiB of a process that has loaded the formats by which files are read, and does nothing else."""
    program = "import psutil, telemetry.formats.registry; print(psutil.Process().memory_info().rss)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=BEGIN_S)
    return int(done.stdout) / MIB


def _await_turns(process: subprocess.Popen[bytes], directory: Path) -> None:
    until = time.monotonic() + BEGIN_S
    while _lines(directory) <= 0:
        if process.poll() is not None or time.monotonic() > until:
            raise BenchError("the recording ended, or wrote nothing")
        time.sleep(POLL_S)


def _now(pid: int) -> _Now:
    """Children that have ended and were waited for count for the tool."""
    process = psutil.Process(pid)
    own, tool_s, tool_mib = process.cpu_times(), 0.0, 0.0
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            tool_s += times.user + times.system
            tool_mib += child.memory_info().rss / MIB
    tool_s += own.children_user + own.children_system
    return _Now(own.user + own.system, process.memory_info().rss / MIB, tool_s, tool_mib)


def _lines(directory: Path) -> int:
    """Readings in the files so far."""
    return sum(path.read_bytes().count(b"\n") - 1 for path in directory.glob("gpus-*.csv"))
