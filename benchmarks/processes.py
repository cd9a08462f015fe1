"""Processes that run beside a measurement: started with a site's variables, ended with all their children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from telemetry.local.lifeline import ends_with_parent

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parent.parent
GONE_S = 10


def start(log: Path, *args: str, **variables: str) -> subprocess.Popen[bytes]:
    """A command of the environment this runs in. Settings of the person who runs it do not reach it."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(BIN / args[0]), *args[1:]],
            env=surroundings() | variables,
            cwd=log.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=ends_with_parent(signal.SIGTERM),  # noqa: PLW1509 (it only makes a system call)
        )


def surroundings() -> dict[str, str]:
    """The environment without settings; the peers' applications are found by PYTHONPATH."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TELEMETRY_")}
    return kept | {"PYTHONPATH": str(ROOT)}


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all its descendants at once: what they did is measured by now."""
    gone = family(process.pid)
    for each in gone:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
    psutil.wait_procs(gone, GONE_S)


def cpu_s(*pids: int) -> float:
    """CPU time that processes and their descendants have taken; what has ended took its own along."""
    taken_s = 0.0
    for each in (one for pid in pids for one in family(pid)):
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            taken_s += times.user + times.system
    return taken_s


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants; nothing if it has ended."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []
