"""`python -m benchmarks.record`: what `telemetry record` costs a node, by source."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks import machine
from benchmarks.record import cost, sources

# What a node shall give for it: shares of a core in percent, and MiB.
MOST_CPU, MOST_MIB = 1.0, 60.0
HEADER = (
    "| source | readings a turn | CPU | memory | the tool's CPU | the tool's memory |\n| --- | --: | --: | --: | --: | --: |"
)


@click.command()
@click.option("--gpus", type=click.IntRange(1), default=8, show_default=True, help="How many made-up GPUs the node has.")
@click.option("--real", is_flag=True, help="Record the GPUs of this machine, and no made-up ones.")
@click.option("--interval", type=click.IntRange(1), default=1, show_default=True, help="Seconds between two turns.")
@click.option("--seconds", type=click.FloatRange(1), default=60.0, show_default=True, help="How long each source is recorded.")
@click.option("--only", multiple=True, help="Only this source; may be given several times.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures to this file.")
def main(gpus: int, real: bool, interval: int, seconds: float, only: tuple[str, ...], json_path: Path | None) -> None:
    """Record each source for a while, one after the other, and print what that costs."""
    click.echo(f"{machine.cores()} cores, {machine.model()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    whose = "the GPUs of this machine" if real else f"{gpus} made-up GPUs: the tools and the library are not the real ones"
    click.echo(f"each {seconds:g} s, a turn every {interval} s, {whose}\n\n{HEADER}")
    figures: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telemetry-bench-")))
        chosen = sources.of_this_machine() if real else stack.enter_context(sources.made_up(directory, gpus))
        for number, (name, source) in enumerate(chosen.items()):
            if only and name not in only:
                continue
            taken = cost.measure(source, directory / f"out-{number}", interval, seconds)
            figures[name] = asdict(taken)
            click.echo(
                f"| {name} | {taken.readings:.0f} | {taken.cpu:.2f} % | {taken.mib:.1f} MiB"
                f" | {taken.tool_cpu:.2f} % | {taken.tool_mib:.1f} MiB |"
            )
    ours = {name: each for name, each in figures.items() if "," not in name}
    over = [name for name, each in ours.items() if each["cpu"] > MOST_CPU or each["mib"] > MOST_MIB]
    click.echo(f"\nover {MOST_CPU:g} % of a core or {MOST_MIB:g} MiB: {', '.join(over) or 'none'}")
    click.echo(f"the formats of files alone: {cost.of_formats():.1f} MiB")
    if json_path:
        json_path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
