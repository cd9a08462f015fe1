"""`python -m benchmarks.record.each TOOL DIRECTORY --interval N`: nvidia-smi by a process a turn, which `record` does not do.

It writes what `record` writes, so that the two ways differ in the process alone.
"""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import click

from telemetry.record.files import Files
from telemetry.record.nvidia_smi import NvidiaSmi
from telemetry.record.recording import record
from telemetry.record.taken import Taken
from telemetry.record.tool import ENVIRONMENT


class Each(NvidiaSmi):
    """nvidia-smi, begun anew in each turn."""

    def take(self) -> list[Taken]:
        """All readings of now."""
        command = [option for option in self.begin() if not option.startswith("--loop")]
        done = subprocess.run(command, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, check=True, timeout=60)
        return [each for line in done.stdout.decode().splitlines() for each in self.read(line) or []]


@click.command()
@click.argument("tool")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--interval", type=float, required=True)
def main(tool: str, directory: Path, interval: float) -> None:
    """Record until it is ended."""
    files = Files(directory, "gpus", 64 << 20, 86_400, 1 << 30)
    files.claim()
    record(Each(tool, "node", interval, threading.Event()), files, interval, threading.Event())


if __name__ == "__main__":
    main()
