"""`telemetry forget`: removes sources that are no longer of interest from what `telemetry status` shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import redis
from sqlalchemy import Engine

from telemetry.cli.database import database
from telemetry.cli.session import away, data_dir_option, everywhere, json_option, load_settings, operator
from telemetry.progress import claims, losses, reading
from telemetry.progress.everywhere import Everywhere
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
    Exits 1 if one was held, if there was none, or if one of several brokers is away that may know one.
    """
    settings = load_settings(data_dir)
    done: list[dict[str, Any]] = []
    with everywhere(settings) as edges, database(settings, "forget") as engine:
        keys = Keys(settings.key_prefix)
        for path in dict.fromkeys(paths):
            at_edges = list(_everywhere(edges, keys, engine, path, only_edge))
            # Where its edge is at work, no other broker needs to be asked.
            is_settled = only_edge is not None and bool(at_edges) and _is_at_work(edges, keys, only_edge)
            silent = {} if is_settled else away(edges)
            at_edges += [_away(path, only_edge, name, reason) for name, reason in silent.items()]
            done += at_edges or [{"path": path, "edge": None, "status": "unknown"}]
    if as_json:
        click.echo(json.dumps(done))
    else:
        click.echo("\n".join(map(_text, done)))
    sys.exit(0 if all(entry["status"] == "forgotten" for entry in done) else 1)


def _everywhere(edges: Everywhere, keys: Keys, engine: Engine, path: str, only_edge: str | None) -> Iterator[dict[str, Any]]:
    """What became of a path at each broker that answers."""
    names = sorted({path, wire_path(Path(path).absolute()), wire_path(Path(path).resolve())})
    for broker, client in edges.answering.items():
        with edges.asking(broker):
            for edge in reading.edges(client, keys):
                for name in names if only_edge in {None, edge} else ():
                    yield from _forgotten(client, keys, engine, edge, name)


def _is_at_work(edges: Everywhere, keys: Keys, edge: str) -> bool:
    """Whether a streamer of an edge is at work at a broker that answers."""
    for name, client in edges.answering.items():
        with edges.asking(name):
            if reading.streamers(client, keys, [edge])[edge]:
                return True
    return False


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


def _away(path: str, edge: str | None, broker: str, reason: str) -> dict[str, Any]:
    return {"path": path, "edge": edge, "status": "away", "by": f"the broker {broker}".rstrip(), "why": reason}


def _text(entry: dict[str, Any]) -> str:
    match entry["status"]:
        case "forgotten":
            return f"{entry['edge']} {entry['path']}: forgotten"
        case "held":
            return (
                f"{entry['edge']} {entry['path']}: a streamer works on it ({entry['by']}); "
                "take it out of TELEMETRY_SOURCES, and try again when its claim has ended"
            )
        case "away":
            return (
                f"{entry['path']}: {entry['by']} was not asked, as it does not answer ({entry['why']}); "
                "try again when it is back"
            )
    return f"{entry['path']}: there is no such source; telemetry status shows the paths"
