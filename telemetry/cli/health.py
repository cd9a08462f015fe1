"""`telemetry health`: how GPUs and hosts are, why, and what to do: the states of `/api/v1/health`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Engine

from telemetry.cli.database import with_database
from telemetry.cli.foreign import plain
from telemetry.cli.quantities import counted
from telemetry.cli.session import json_option
from telemetry.health import prometheus
from telemetry.store.read import health as states
from telemetry.store.read.health import STATES, HealthFilter

ILL = ("faulty", "silent", "degraded")


@click.command()
@click.option("--host", help="Only GPUs on this host.")
@click.option("--state", "some", type=click.Choice(STATES), multiple=True, help="Only GPUs in this state; may be repeated.")
@click.option("--all", "is_all", is_flag=True, help="GPUs that are well, too.")
@click.option("--hosts", "of_hosts", is_flag=True, help="Hosts instead of GPUs.")
@click.option("--prometheus", "as_rules", is_flag=True, help="Print the rules as alerts for Prometheus, and nothing else.")
@json_option
@with_database
@click.pass_context
def health(
    ctx: click.Context,
    engine: Engine,
    host: str | None,
    some: tuple[str, ...],
    is_all: bool,
    of_hosts: bool,
    as_rules: bool,
    as_json: bool,
) -> None:
    """Show GPUs that are ill or silent: since when, why, and what to do."""
    rules = ctx.obj.health_rules
    if as_rules:
        click.echo(json.dumps({"groups": [{"name": "telemetry-gpu-health", "rules": prometheus.alerts(rules)}]}, indent=2))
        return
    chosen = HealthFilter(host=host, states=some or (STATES if is_all or as_json else ILL))
    with engine.connect() as connection:
        ask = states.hosts if of_hosts else states.gpus
        rows = [dict(row) for row in connection.execute(ask(rules, chosen)).mappings()]
        counts = {row.state: row.gpus for row in connection.execute(states.counted(rules))}
    for row in rows:
        if "reasons" in row:
            row["reasons"] = json.loads(row["reasons"])
    if as_json:
        click.echo(json.dumps(rows, default=lambda moment: moment.isoformat()))
    else:
        click.echo("\n".join(map(plain, _lines(rows, counts, of_hosts=of_hosts))))


def _lines(rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int], *, of_hosts: bool) -> Iterator[str]:
    for row in rows:
        since = f" since {row['since']:%Y-%m-%d %H:%M:%S} UTC" if row["since"] else ""
        if of_hosts:
            missing = f", {row['missing_gpus']} missing" if row["missing_gpus"] else ""
            ill = f", {row['ill_gpus']} ill" if row["ill_gpus"] else ""
            yield f"{row['host']}: {row['state']}{since}; {counted(row['gpus'], 'GPU')}{ill}{missing}"
            continue
        name = row["gpu"] if row["host"] is None or row["index"] is None else f"{row['host']}:{row['index']}"
        yield f"{name} {row['gpu']}: {row['state']}{since}"
        for reason in row["reasons"]:
            likely = " (a heuristic)" if reason["heuristic"] else ""
            yield f"  {reason['says']}{likely}, since {datetime.fromisoformat(reason['since']):%Y-%m-%d %H:%M:%S} UTC"
            yield f"  -> {reason['action']}"
    total = sum(counts.values())
    of_state = ", ".join(f"{counts[state]} {state}" for state in STATES if counts.get(state))
    yield f"{counted(total, 'GPU')}: {of_state}" if total else "no GPU is known yet"
