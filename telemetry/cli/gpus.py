"""`telemetry gpus`: each GPU with what was read of it last, one look or one after the other.

What is now is asked of `telemetry.store.read`; here stands how it is shown.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from telemetry.cli.database import database
from telemetry.cli.quantities import counted, duration, size
from telemetry.cli.redraw import colour_allowed, painted, redraw
from telemetry.cli.session import data_dir_option, json_option, load_settings
from telemetry.cli.status_lines import BAD, WARNING, Line
from telemetry.cli.top_screen import is_silent, owner
from telemetry.health.rules import Rules
from telemetry.readings.series import MIG_INSTANCE
from telemetry.store.read import health, inventory
from telemetry.store.read.health import HealthFilter
from telemetry.store.read.history import latest
from telemetry.store.read.history.selection import SeriesFilter
from telemetry.store.read.inventory import GpuFilter
from telemetry.store.read.settled import now

MIB = 1 << 20
# The columns: what each shows of which metric, and how.
SHOWN: dict[str, tuple[str, Callable[[float], str]]] = {
    "util": ("DCGM_FI_DEV_GPU_UTIL", lambda value: f"{value:.0f} %"),
    "temp": ("DCGM_FI_DEV_GPU_TEMP", lambda value: f"{value:.0f} °C"),
    "power": ("DCGM_FI_DEV_POWER_USAGE", lambda value: f"{value:.0f} W"),
    "memory": ("DCGM_FI_DEV_FB_USED", lambda value: size(value * MIB)),
}
METRICS = tuple(metric for metric, _ in SHOWN.values())
HEAD = ("host", "GPU", "model", *SHOWN, "owner", "last read")
NUMBERS = {"GPU", *SHOWN}


@click.command()
@click.option("--host", help="Only the GPUs of this host.")
@click.option("--watch", is_flag=True, help="Look again every 2 s, until Ctrl-C.")
@json_option
@data_dir_option
def gpus(host: str | None, watch: bool, as_json: bool, data_dir: Path | None) -> None:
    """Show each GPU: utilization, temperature, power, memory in use, whose it is, and when it was read last.

    A GPU of which nothing was read for so long as the rules of health allow is SILENT, and has no values: 10 minutes, unless
    they set `silent_after`. One that is FAULTY has its gravest reason beside it: `telemetry health` shows all, and what to do.
    """
    settings = load_settings(data_dir)

    with database(settings, "gpus") as engine:

        def look() -> list[Line]:
            seen = looked(engine, settings.health_rules, host)
            return [Line(json.dumps(seen))] if as_json else lines(seen)

        if watch:
            redraw(look, 2.0, in_place=sys.stdout.isatty() and not as_json)
            return
        for line in look():
            click.echo(painted(line), color=colour_allowed())


def looked(engine: Engine, rules: Rules, host: str | None) -> list[dict[str, Any]]:
    """Each GPU with its values by metric, None where there is none, the labels of its owner, and the age of its last reading.

    The age is by the database's clock: exact where the GPU has a value; of any other metric it is known to the minute.
    `fault` is the gravest reason why it is faulty, None if it is not.
    """
    max_age = timedelta(seconds=rules.silent_after_s)
    with engine.connect() as connection:
        rows = connection.execute(inventory.gpus(GpuFilter(host=host))).mappings().all()
        newest = connection.execute(latest.latest(SeriesFilter(host=host, metrics=METRICS), max_age)).all()
        ill = connection.execute(health.gpus(rules, HealthFilter(host=host, states=("faulty",)))).all()
        at = now(connection)
    faults = {row.gpu: json.loads(row.reasons)[0]["says"] for row in ill}
    ages: dict[str, float] = {}
    values: dict[str, dict[str, float]] = {}
    owners: dict[str, dict[str, str]] = {}
    # The newest is the last, and stays.
    for row in sorted(newest, key=lambda row: row.timestamp):
        ages[row.gpu] = max(0.0, (at - row.timestamp).total_seconds())
        owners[row.gpu] = json.loads(row.owner) or owners.get(row.gpu, {})
        # An instance of MIG is a part of a GPU: its readings are not those of the whole.
        if MIG_INSTANCE not in json.loads(row.labels):
            values.setdefault(row.gpu, {})[row.metric] = row.value
    return [
        {
            **{name: row[name] for name in ("id", "host", "index", "model")},
            "silent_for_s": ages.get(row["id"], row["silent_for_s"]),
            "silent_after_s": rules.silent_after_s,
            "fault": faults.get(row["id"]),
            "values": dict.fromkeys(METRICS) | values.get(row["id"], {}),
            "owner": owners.get(row["id"], {}),
        }
        for row in rows
    ]


def lines(seen: Sequence[Mapping[str, Any]]) -> list[Line]:
    """A table with a line a GPU, and how many are silent or faulty."""
    silent, faulty = sum(map(is_silent, seen)), sum(gpu["fault"] is not None for gpu in seen)
    ill = [f"{number:,} {name}" for number, name in ((silent, "silent"), (faulty, "faulty")) if number]
    total = Line(", ".join([counted(len(seen), "GPU"), *ill]))
    if not seen:
        return [total]
    rows = [HEAD, *map(_cells, seen)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    colours = [None, *(BAD if gpu["fault"] else WARNING if is_silent(gpu) else None for gpu in seen)]
    return [*(Line(_aligned(row, widths), colour) for row, colour in zip(rows, colours, strict=True)), total]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """Cells in their columns, numbers at the right."""
    padded = [
        cell.rjust(width) if name in NUMBERS else cell.ljust(width) for name, cell, width in zip(HEAD, row, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _cells(gpu: Mapping[str, Any]) -> tuple[str, ...]:
    values = (gpu["values"].get(metric) for metric in METRICS)
    numbers = ["-" if value is None else text(value) for value, (_, text) in zip(values, SHOWN.values(), strict=True)]
    index = "?" if gpu["index"] is None else str(gpu["index"])
    name = gpu["host"] or gpu["id"]
    age = "never" if gpu["silent_for_s"] is None else f"{duration(gpu['silent_for_s'])} ago"
    marks = ["SILENT"] * is_silent(gpu) + [f"FAULTY: {gpu['fault']}"] * (gpu["fault"] is not None)
    return name, index, gpu["model"] or "-", *numbers, owner(gpu) or "-", "  ".join([age, *marks])
