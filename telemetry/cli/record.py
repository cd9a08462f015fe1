"""`telemetry record`: options, signals and the summary. What is recorded is left to `telemetry.record`."""

from __future__ import annotations

import importlib
import json
import logging
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from telemetry.record.amd_smi import AmdSmi
from telemetry.record.api_server import ApiServer
from telemetry.record.files import Files, FullError
from telemetry.record.jobs import with_jobs
from telemetry.record.looping import Looping
from telemetry.record.nvidia_smi import NvidiaSmi
from telemetry.record.nvml import Nvml
from telemetry.record.pods import Pods
from telemetry.record.recording import Source
from telemetry.record.recording import record as run
from telemetry.record.scrape import Scrape
from telemetry.record.taken import SourceError

MIB = 1 << 20
TOOLS: dict[str, type[Looping]] = {"nvidia-smi": NvidiaSmi, "amd-smi": AmdSmi}


def tool_option(of: str) -> Callable[[Any], Any]:
    """The option --tool; `of` is what it is read instead of."""
    return click.option(
        "--tool", metavar="COMMAND", callback=_known, help=f"Read nvidia-smi or amd-smi, by name or path, and not {of}."
    )


def _known(_context: click.Context, _parameter: click.Parameter, tool: str | None) -> str | None:
    if tool and Path(tool).name not in TOOLS:
        raise click.BadParameter(f"{tool} is not one of {', '.join(TOOLS)}, or the path of one")
    return tool


# For how long a Kubernetes API may say nothing.
SILENCE_S = 15.0


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--scrape", metavar="URL", help="Read this Prometheus endpoint, such as a dcgm-exporter's, and not the driver.")
@tool_option("the driver's library")
@click.option("--pods", is_flag=True, help="Read which pods have which GPUs from this cluster's API, and no GPU.")
@click.option("--kubernetes", metavar="URL", help="With --pods: that API, such as kubectl proxy's.  [default: of this pod]")
@click.option("--interval", type=click.FloatRange(0.1, 86_400), metavar="SECONDS", help="[default: 10, with --pods 60]")
@click.option("--host", help="The machine's name.  [default: what the machine calls itself]")
@click.option(
    "--slurm-jobs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Directory with a file of job ids for each GPU index.",
)
@click.option(
    "--file-mib", type=click.IntRange(1, 1 << 20), default=64, show_default=True, help="Begin a new file after so much."
)
@click.option("--file-hours", type=click.FloatRange(0.01, 8760), default=24, show_default=True, help="And after so long.")
@click.option(
    "--keep-mib", type=click.IntRange(2), default=1024, show_default=True, help="Remove the oldest files beyond this."
)
@click.option("--turns", type=click.IntRange(1), help="Stop after so many readings of all GPUs.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def record(
    directory: Path,
    scrape: str | None,
    tool: str | None,
    pods: bool,
    kubernetes: str | None,
    interval: float | None,
    host: str | None,
    slurm_jobs: Path | None,
    file_mib: int,
    file_hours: float,
    keep_mib: int,
    turns: int | None,
    as_json: bool,
) -> None:
    """Record the GPUs of this machine in CSV files, which a streamer reads.

    Without --scrape or --tool NVIDIA's driver is read, by the package nvidia-ml-py: telemetry-pipeline[record].
    The files are DIRECTORY/gpus-TIME.csv; let the streamer have TELEMETRY_SOURCES=DIRECTORY/gpus-*.csv. With --pods they are
    DIRECTORY/pods-TIME.csv, and one recording is enough for a cluster.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    if keep_mib < 2 * file_mib:
        raise click.UsageError("--keep-mib must be at least twice --file-mib: the file that is written is among those kept")
    if pods and (scrape or tool or host or slurm_jobs):
        raise click.UsageError("--pods reads no GPU: leave out --scrape, --tool, --host and --slurm-jobs")
    if scrape and tool:
        raise click.UsageError("give --scrape or --tool: a recording has one source")
    if kubernetes and not pods:
        raise click.UsageError("--kubernetes is for --pods")
    interval = interval or (60.0 if pods else 10.0)
    stopping = threading.Event()
    source = _pods(kubernetes, stopping) if pods else _source(scrape, tool, host, interval, stopping)
    files = Files(directory, "pods" if pods else "gpus", file_mib * MIB, file_hours * 3600, keep_mib * MIB)
    try:
        files.claim()
    except FullError as error:
        raise click.ClickException(str(error)) from None
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: stopping.set())
    adorn = partial(with_jobs, directory=slurm_jobs) if slurm_jobs else list
    try:
        done = run(source, files, interval, stopping, turns=turns, adorn=adorn)
    finally:
        source.close()
        files.close()
    missed = f"; {done.missed:,} turns without a reading" if done.missed else ""
    words = f"{done.readings:,} readings recorded in {done.turns:,} turns{missed}"
    click.echo(json.dumps(asdict(done)) if as_json else words)
    if done.missed and not done.turns:
        raise SystemExit(1)


def _pods(url: str | None, stopping: threading.Event) -> Source:
    try:
        return Pods(ApiServer(url, SILENCE_S, stopping) if url else ApiServer.of_this_pod(SILENCE_S, stopping))
    except SourceError as error:
        raise click.UsageError(str(error)) from None


def _source(url: str | None, tool: str | None, host: str | None, interval_s: float, stopping: threading.Event) -> Source:
    try:
        if url:
            return Scrape(url, host, max(1.0, min(interval_s, 10.0)), stopping)
        if tool:
            return TOOLS[Path(tool).name](tool, host or socket.gethostname(), interval_s, stopping)
        return Nvml(importlib.import_module("pynvml"), host or socket.gethostname())
    except SourceError as error:
        raise click.UsageError(str(error)) from None
    except ModuleNotFoundError:
        raise click.ClickException(
            "the driver is read by the package nvidia-ml-py; install telemetry-pipeline[record], or give --tool nvidia-smi "
            "or --scrape URL"
        ) from None
