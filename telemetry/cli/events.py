"""`telemetry events`: what happened to GPUs, the latest last, and on as it happens: the events of `/api/v1/events`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from sqlalchemy import Engine

from telemetry.cli.database import with_database
from telemetry.cli.foreign import plain
from telemetry.cli.moments import SINCE
from telemetry.cli.session import json_option
from telemetry.store.read import events as happened
from telemetry.store.read import inventory
from telemetry.store.read.events import EVENT_KINDS, EventFilter

LOOK_S = 2.0
# Readings may come late, and tell of what was before: so far back what is new is looked for.
BACK = timedelta(hours=1)
MOST = 10_000


@click.command()
@click.option(
    "--since", default="-1d", type=SINCE, show_default=True, help="From when on: a time, or -30m, -2h, -7d before now."
)
@click.option("--gpu", help="Only of this GPU: UUID or host:index.")
@click.option("--kind", "kinds", type=click.Choice(EVENT_KINDS), multiple=True, help="Only of this kind; may be repeated.")
@click.option("--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@json_option
@with_database
@click.pass_context
def events(
    ctx: click.Context,
    engine: Engine,
    since: datetime,
    gpu: str | None,
    kinds: tuple[str, ...],
    follow: bool,
    as_json: bool,
) -> None:
    """Show XIDs, memory errors, throttling, silence, changes of state, and who had which GPU.

    An XID is the last one that the driver reported: one that comes twice is shown once.
    """
    seen: set[str] = set()
    start, gpu_id = since, None if gpu is None else _number(engine, gpu)
    while True:
        rows = _asked(engine, ctx.obj.health_rules, EventFilter(start, datetime.now(UTC), gpu_id, kinds=kinds))
        if len(rows) == MOST:
            click.echo(f"only the latest {MOST:,} events are shown; give a later --since, a --gpu or a --kind", err=True)
        for row in reversed(rows):
            if row["id"] not in seen:
                seen.add(row["id"])
                click.echo(json.dumps(_document(row)) if as_json else plain(_line(row)))
        if not follow:
            return
        time.sleep(LOOK_S)
        start = max(since, datetime.now(UTC) - BACK)


def _number(engine: Engine, gpu: str) -> int:
    with engine.connect() as connection:
        row = connection.execute(inventory.gpu(gpu)).mappings().first()
    if row is None:
        raise click.ClickException(f"no GPU has the UUID or host:index {gpu}; see telemetry gpus")
    return int(row["gpu_id"])


def _asked(engine: Engine, rules: Any, chosen: EventFilter) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(happened.events(rules, chosen).limit(MOST)).mappings()]


def _name(row: Mapping[str, Any]) -> str:
    return row["gpu"] if row["host"] is None or row["index"] is None else f"{row['host']}:{row['index']}"


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "at": row["at"].isoformat(), "owner": json.loads(row["owner"])}


def _line(row: Mapping[str, Any]) -> str:
    what = "" if row["what"] == "changes" else f" {row['what']}"
    owner = ", ".join(f"{name}={value}" for name, value in sorted(json.loads(row["owner"]).items()))
    by = f" [{owner}]" if owner and row["kind"] != "allocation" else ""
    return f"{row['at']:%Y-%m-%d %H:%M:%S} {_name(row)} {row['kind']}: {row['says']}{what}{by}"
