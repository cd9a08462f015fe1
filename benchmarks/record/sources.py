"""What is recorded: the GPUs of this machine, or made-up ones that answer as a driver, a tool or an exporter does."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from telemetry.record.nvml import ASKED
from tests.record.endpoint import endpoint
from tests.record.tools import tool

NVIDIA_ROUNDS = "say(header())\nwhile True: say(*[row(gpu) for gpu in range({gpus})]); time.sleep(loop_s)"
NVIDIA_ONCE = "say(header(), *[row(gpu) for gpu in range({gpus})])"
AMD_ROUNDS = "while True: round_of(*range({gpus})); time.sleep(float(sys.argv[-1]))"
# A module of the library's name, which the command takes for it.
LIBRARY = """\
from tests.record.driver import Driver

driver = Driver({gpus})


def __getattr__(name):
    return getattr(driver, name)
"""
LABELS = 'gpu="{gpu}",UUID="GPU-{gpu}",pci_bus_id="00000000:{gpu:02}:00.0",device="nvidia{gpu}",modelName="NVIDIA H100",'
LABELS += 'Hostname="node-1",DCGM_FI_DRIVER_VERSION="550.54",container="c",namespace="team",pod="train-{gpu}"'


@dataclass(frozen=True, slots=True)
class Recorded:
    """A source: its command, and the variables of its environment beside ours."""

    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


def record(*options: str) -> tuple[str, ...]:
    """The command that records, up to its directory."""
    return (str(Path(sys.executable).parent / "telemetry"), "record", *options)


def each_turn(tool_path: str) -> tuple[str, ...]:
    """The other way to record nvidia-smi: a process a turn."""
    return (sys.executable, "-m", "benchmarks.record.each", tool_path)


@contextmanager
def made_up(directory: Path, gpus: int) -> Iterator[dict[str, Recorded]]:
    """The sources of a node that has so many GPUs and no driver."""
    for name in ("library", "loop", "once"):
        (directory / name).mkdir()
    (directory / "library" / "pynvml.py").write_text(LIBRARY.format(gpus=gpus))
    paths = os.pathsep.join((str(directory / "library"), os.environ.get("PYTHONPATH", ""), str(Path.cwd())))
    nvidia = tool(directory / "loop", "nvidia-smi", NVIDIA_ROUNDS.format(gpus=gpus))
    once = tool(directory / "once", "nvidia-smi", NVIDIA_ONCE.format(gpus=gpus))
    amd = tool(directory / "loop", "amd-smi", AMD_ROUNDS.format(gpus=gpus))
    with ExitStack() as stack:
        url = stack.enter_context(endpoint(exported(gpus)))
        yield {
            "nvml": Recorded(record(), {"PYTHONPATH": paths}),
            "scrape": Recorded(record("--scrape", url)),
            "nvidia-smi": Recorded(record("--tool", nvidia)),
            "amd-smi": Recorded(record("--tool", amd)),
            "nvidia-smi, a process a turn": Recorded(each_turn(once)),
        }


def of_this_machine() -> dict[str, Recorded]:
    """The sources that this machine has: NVIDIA's driver, and the tools on its PATH."""
    sources = {"nvml": Recorded(record())}
    for name in ("nvidia-smi", "amd-smi"):
        if path := shutil.which(name):
            sources[name] = Recorded(record("--tool", path))
    if path := shutil.which("nvidia-smi"):
        sources["nvidia-smi, a process a turn"] = Recorded(each_turn(path))
    return sources


def exported(gpus: int) -> str:
    """What a dcgm-exporter answers: as many metrics as the driver is asked for."""
    lines = []
    for number in range(len(ASKED) + 7):
        lines += [f"# HELP DCGM_FI_DEV_{number} of the driver", f"# TYPE DCGM_FI_DEV_{number} gauge"]
        lines += [f"DCGM_FI_DEV_{number}{{{LABELS.format(gpu=gpu)}}} {number * gpu + 0.25}" for gpu in range(gpus)]
    return "\n".join(lines) + "\n"
