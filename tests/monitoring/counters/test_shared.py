"""Processes that start and end at once do not take each other's directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys
from telemetry.monitoring.counters import definitions, shared
made = shared.share()
definitions.of(definitions.BeatCounters).ticks.inc()
sys.stdin.readline()
print(made, len(list(made.glob("counter_*.db"))), flush=True)
sys.stdin.readline()
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
"""


def test_many_at_once() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "killed" if number % 2 else "ended"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    told = []
    for process in running:
        assert process.stdin
        assert process.stdout
        process.stdin.write("\n")
        process.stdin.flush()
        told.append(process.stdout.readline().split())
    directories = [Path(directory) for directory, _ in told]
    assert len(set(directories)) == 8
    assert [number for _, number in told] == ["1"] * 8
    for process in running:
        process.communicate("\n", timeout=20)
    assert [directory.exists() for directory in directories] == [False, True] * 4
    again = subprocess.run([sys.executable, "-c", PROGRAM, "ended"], input="\n\n", text=True, check=True, capture_output=True)
    assert again.stdout
    assert not any(directory.exists() for directory in directories)
