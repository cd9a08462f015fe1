"""`telemetry status`: one look at the whole system. Asks Redis and Postgres, and the workers for a sign of life."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import redis

from telemetry.celery import make_app
from telemetry.cli.database import database
from telemetry.cli.session import connected, data_dir_option, json_option, load_settings
from telemetry.keys import Keys
from telemetry.settings import Settings
from telemetry.store.audit import gaps
from telemetry.store.ledger import flow
from telemetry.streamer.lost import lost_ranges
from telemetry.streamer.registry import Registry, edges

FLOW_S = 60
PING_S = 0.5


@click.command()
@json_option
@data_dir_option
def status(as_json: bool, data_dir: Path | None) -> None:
    """Show edges, sources (offset, lag), queue, workers and rates."""
    settings = load_settings(data_dir)
    with connected(settings) as client, database(settings, "status") as engine:
        found: dict[str, Any] = {
            "queue": _queue(client, settings),
            "sources": _sources(client, settings),
            "lost": _lost(client, settings),
        }
        with engine.connect() as connection:
            found["flow"] = [asdict(each) for each in flow(connection, FLOW_S)]
            found["gaps"] = [{**asdict(gap), "since": gap.since.isoformat()} for gap in gaps(connection, settings.gap_alert_s)]
    found["workers"] = sorted(_workers(settings))
    click.echo(json.dumps(found) if as_json else _text(found))


def _queue(client: redis.Redis, settings: Settings) -> dict[str, int]:
    unacked = Keys(settings.key_prefix).unacked("central")["unacked_key"]
    return {"waiting": int(client.llen(settings.ingest_queue)), "unacked": int(client.hlen(unacked))}


def _sources(client: redis.Redis, settings: Settings) -> list[dict[str, Any]]:
    keys = Keys(settings.key_prefix)
    found = []
    for edge in edges(client, keys):
        for state in Registry(client, keys, edge, "status", settings.lease_s).known().values():
            window = state["window"]
            found.append(
                {
                    "edge": edge,
                    "path": state["path"],
                    "foreign": state["foreign"],
                    "size": state["size"],
                    "committed": window["committed"],
                    "lag_bytes": state["size"] - window["committed"],
                    "in_flight": len(window["flights"]),
                }
            )
    return found


def _lost(client: redis.Redis, settings: Settings) -> list[dict[str, Any]]:
    keys = Keys(settings.key_prefix)
    return [
        {"edge": edge, **asdict(each), "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")}
        for edge in edges(client, keys)
        for each, at in lost_ranges(client, keys, edge)
    ]


def _workers(settings: Settings) -> list[str]:
    app = make_app(settings)
    try:
        return [name for reply in app.control.ping(timeout=PING_S) or [] for name in reply]
    finally:
        app.close()


def _text(found: dict[str, Any]) -> str:
    queue = found["queue"]
    lines = [
        f"workers   {', '.join(found['workers']) or 'none answer'}",
        f"queue     {queue['waiting']} waiting, {queue['unacked']} being worked on",
    ]
    for each in found["flow"]:
        dead = f", {each['dead']} batches DEAD" if each["dead"] else ""
        lines.append(
            f"flow      {each['edge']}: {each['rows_per_s']:,} rows/s in the last minute, "
            f"{1000 * each['latency_s']:.0f} ms from publish to commit (median){dead}"
        )
    for each in found["sources"]:
        foreign = "  FOREIGN: no header this version knows" if each["foreign"] else ""
        lines.append(
            f"source    {each['edge']} {each['path']}: {each['committed']:,} of {each['size']:,} bytes committed, "
            f"{each['in_flight']} batches in flight{foreign}"
        )
    lines += [
        f"GAP       {gap['edge']} {gap['path']}: bytes {gap['start']:,} to {gap['end']:,} are missing since {gap['since']}"
        for gap in found["gaps"]
    ]
    lines += [
        f"LOST      {lost['edge']} {lost['path']}: bytes {lost['start']:,} to {lost['end']:,} were not committed, "
        f"and {lost['reason']}; found at {lost['at']}"
        for lost in found["lost"]
    ]
    if not found["flow"]:
        lines.append("flow      nothing committed in the last minute")
    return "\n".join(lines)
