"""`telemetry forget`: removes sources that are no longer of interest from what `telemetry status` shows."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import redis
from sqlalchemy import Engine

from telemetry.cli.database import database
from telemetry.cli.session import connected, data_dir_option, json_option, load_settings, operator
from telemetry.progress import claims, losses, reading
from telemetry.progress.keys import Keys
from telemetry.readings.digests import wire_path
from telemetry.store import audit_log, foreign


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--edge", "only_edge", metavar="CLUSTER/NODE", help="Forget them at this edge alone.")
@json_option
@data_dir_option
def forget(paths: tuple[str, ...], only_edge: str | None, as_json: bool, data_dir: Path | None) -> None:
    """Forget sources by their paths, such as a file that is gone, or one that is no telemetry.

    They leave `telemetry status`, with what was lost of them. Of a file that no format knows, the list of sources and the
    quarantine forget its line, too. Readings that are stored stay, and so does the account of them. A file that a streamer
    finds again is read again from its beginning; nothing is stored twice. A source that a streamer holds is not forgotten.
    Exits 1 if one was held or there was none.
    """
    settings = load_settings(data_dir)
    done: list[dict[str, Any]] = []
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(one)) for one in settings.brokers.values()]
        engine = stack.enter_context(database(settings, "forget"))
        keys = Keys(settings.key_prefix)
        edges = [(client, edge) for client in clients for edge in reading.edges(client, keys) if only_edge in {None, edge}]
        for path in dict.fromkeys(paths):
            names = {path, wire_path(Path(path).absolute()), wire_path(Path(path).resolve())}
            at_edges = [
                entry
                for client, edge in edges
                for name in sorted(names)
                for entry in _forgotten(client, keys, engine, edge, name)
            ]
            done += at_edges or [{"path": path, "edge": None, "status": "unknown"}]
    if as_json:
        click.echo(json.dumps(done))
    else:
        click.echo("\n".join(map(_text, done)))
    sys.exit(0 if all(entry["status"] == "forgotten" for entry in done) else 1)


def _forgotten(client: redis.Redis, keys: Keys, engine: Engine, edge: str, path: str) -> list[dict[str, Any]]:
    """What became of the sources of an edge at a path: an entry, or none if there is no such source."""
    ids = [name for name, state in reading.sources(client, keys, edge).items() if state.shown_path == path]
    holders = [owner for name in ids if (owner := claims.forget(client, keys, edge, name))]
    if holders:
        return [{"path": path, "edge": edge, "status": "held", "by": holders[0]}]
    lost = losses.forget(client, keys, edge, path)
    with engine.begin() as connection:
        was_foreign = foreign.forget(connection, edge, path)
        if not (ids or lost or was_foreign):
            return []
        audit_log.note(connection, operator(), "forget", path, {"edge": edge, "lost_ranges": lost})
    return [{"path": path, "edge": edge, "status": "forgotten"}]


def _text(entry: dict[str, Any]) -> str:
    match entry["status"]:
        case "forgotten":
            return f"{entry['edge']} {entry['path']}: forgotten"
        case "held":
            return (
                f"{entry['edge']} {entry['path']}: a streamer works on it ({entry['by']}); "
                "take it out of TELEMETRY_SOURCES, and try again when its claim has ended"
            )
    return f"{entry['path']}: there is no such source; telemetry status shows the paths"
