"""`telemetry plan`: what a fleet needs, by measured figures. The model is `sizing`'s."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import click

from telemetry.cli import sizing
from telemetry.cli.quantities import counted, size
from telemetry.cli.session import json_option


def _number(_context: click.Context, parameter: click.Parameter, value: float) -> float:
    # It lies in each range, as it is not greater than anything.
    if math.isnan(value):
        raise click.BadParameter(f"{value} is not a number of rows", param=parameter)
    return value


@click.command()
@click.option("--edges", type=click.IntRange(1, 1_000_000), required=True, help="How many edges.")
@click.option(
    "--rows-per-second",
    "rows_per_s",
    type=click.FloatRange(0, 1e9, min_open=True),
    callback=_number,
    required=True,
    help="Rows a second of all edges together: GPUs times metrics, divided by the seconds between two readings.",
)
@click.option(
    "--retention",
    "retention_days",
    type=click.IntRange(1, 36_500),
    default=365,
    show_default=True,
    metavar="DAYS",
    help="Days that are kept.",
)
@click.option(
    "--seal-after",
    "seal_after_days",
    type=click.IntRange(1, 36_500),
    metavar="DAYS",
    help="As TELEMETRY_SEAL_AFTER_DAYS: days until samples become arrays.  [default: never]",
)
@click.option(
    "--series",
    type=click.IntRange(1, 10_000_000_000),
    help=f"Series that grow.  [default: {sizing.SERIES_OF_EDGE} an edge: 8 GPUs, 25 metrics]",
)
@click.option(
    "--tick",
    "tick_s",
    type=click.FloatRange(0.1, 3600),
    default=sizing.TICK_S,
    show_default=True,
    metavar="SECONDS",
    help="As TELEMETRY_STREAM_INTERVAL_S of the edges.",
)
@json_option
def plan(
    edges: int,
    rows_per_s: float,
    retention_days: int,
    seal_after_days: int | None,
    series: int | None,
    tick_s: float,
    as_json: bool,
) -> None:
    """Say how many brokers, collectors, CPUs, GiB and GB a fleet needs, and on what that stands.

    The figures were measured on two shared cores; yours may differ by half. Take what it says as a beginning, and look at
    telemetry status and the boards under your own load.

    \b
    telemetry plan --edges 1000 --rows-per-second 40000 --retention 365 --seal-after 7
    """  # noqa: D301  # click's \b, which keeps the line apart
    fleet = sizing.Fleet(edges, rows_per_s, retention_days, seal_after_days, series, tick_s)
    needed = sizing.plan(fleet)
    if as_json:
        click.echo(json.dumps({**asdict(needed), "assumptions": assumptions(fleet)}))
        return
    for line in lines(needed):
        click.echo(line)
    click.echo("\nThis assumes:")
    for text in assumptions(fleet):
        click.echo(f"- {text}")


def lines(needed: sizing.Plan) -> list[str]:
    """The figures, a line for each part."""
    each = "" if needed.brokers == 1 else " each"
    broker = f"{counted(needed.brokers, 'server')}, {needed.broker_cpus:.1f} CPUs, {needed.broker_gib:.1f} GiB{each}"
    workers = f"{needed.collectors} of {sizing.COLLECTOR_PROCESSES} processes, {needed.collector_cpus:.1f} CPUs"
    disk = size(needed.disk_gb * sizing.GB)
    return [
        f"broker      {broker}, {needed.connections:,} connections{each} (maxclients)",
        f"collectors  {workers}, {needed.collector_gib:.1f} GiB, for {needed.messages_per_s:,.0f} messages a second",
        f"Postgres    {needed.postgres_cpus:.1f} CPUs, {needed.postgres_gib:.1f} GiB, disk {disk}",
        f"samples     {size(needed.gb_a_year * sizing.GB)} a year",
    ]


def assumptions(fleet: sizing.Fleet) -> list[str]:
    """On what the figures stand."""
    tick_us, edge_us, message_us, collector_us, row_us = (
        f"{1e6 * seconds:g}"
        for seconds in (
            *(sizing.BROKER_TICK_S, sizing.BROKER_EDGE_S, sizing.BROKER_MESSAGE_S),
            *(sizing.COLLECTOR_MESSAGE_S, sizing.POSTGRES_ROW_S),
        )
    )
    of_broker = f"{tick_us} µs a tick, {message_us} µs a message, {edge_us} µs a second an edge"
    days = fleet.seal_after_days
    sealed = f"{sizing.SEALED_BYTES} bytes once it is sealed, after {days} days" if days else "never sealed"
    return [
        f"each edge ticks every {fleet.tick_s:g} s, has one file, and publishes batches of {sizing.BATCH_ROWS} rows at most",
        f"CPU of the broker: {of_broker}; at {sizing.BROKER_SHARE:.0%} of its core",
        f"CPU of a collector: {collector_us} µs a message, of Postgres {row_us} µs a row; both at {sizing.CENTRE_SHARE:.0%}",
        f"the broker holds the windows of all edges ({size(sizing.QUEUED_BYTES)} each) while the centre is away",
        f"a sample takes {sizing.ROW_BYTES} bytes with its index, {sealed}",
        f"Postgres has {size(sizing.SERIES_BYTES)} of shared_buffers a series, a quarter of its memory",
        "no replica, no queries of people, no room for what grows",
    ]
