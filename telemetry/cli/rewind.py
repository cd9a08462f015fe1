"""`telemetry rewind`: sets the edges back to what the ledger of a restored database holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import redis
from sqlalchemy import Connection

from telemetry.cli.database import database
from telemetry.cli.foreign import plain
from telemetry.cli.quantities import counted
from telemetry.cli.session import away, data_dir_option, everywhere, json_option, load_settings, operator
from telemetry.progress import reading
from telemetry.progress.keys import Keys
from telemetry.progress.rewind import overwrite, rewound
from telemetry.progress.state import StateError, decode
from telemetry.store import audit_log, generations
from telemetry.store.read import exporter
from telemetry.store.read.gaps import ledger_ranges

# Of edges that are not set back so many are named.
MAX_NAMED = 20
MAX_EDGES = 100_000


@dataclass(slots=True)
class Result:
    """Sources that were set back, and those whose state cannot be read."""

    done: list[dict[str, Any]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


@click.command()
@json_option
@data_dir_option
@click.pass_context
def rewind(ctx: click.Context, as_json: bool, data_dir: Path | None) -> None:
    """Set the edges back to what the ledger holds.

    After most restores and failovers the edges notice by themselves what Postgres has forgotten. Run it where they cannot:
    the files of the same server were put back, or a dump was restored into the same database. Streamers may go on running,
    or be away; they read again from where the ledger ends.
    Running it when nothing was forgotten costs the batches in flight a second delivery, no more.

    Of several brokers one may be away: the edges of the others are set back, and the exit code is 1.
    """
    settings, result = load_settings(data_dir), Result()
    with everywhere(settings) as edges, database(settings, "rewind") as engine, engine.connect() as connection:
        keys = Keys(settings.key_prefix)
        # First, so that edges that are away, or whose broker has lost its keys, hear of it when they come back.
        generation = generations.begin(connection, generations.COMMAND)
        connection.commit()
        generations.end_sessions(connection)
        for name, client in edges.answering.items():
            with edges.asking(name):
                client.set(keys.generation(), generation)
                for edge in sorted(edges.states_at(name)):
                    _set_back(client, keys, edge, connection, result)
        known = {edge for name in edges.answering for edge in edges.states_at(name)}
        left = [edge for edge in sorted(exporter.edges(connection, MAX_EDGES)) if edge not in known] if edges.away else []
        note = {"rewound": result.done, **({"away": list(edges.away)} if edges.away else {})}
        audit_log.note(connection, operator(), "rewind", "edges", note)
        connection.commit()
    is_all = not (result.unread or edges.away)
    if as_json:
        click.echo(json.dumps({"rewound": result.done, "unread": result.unread, "away": away(edges), "left": left}))
        ctx.exit(0 if is_all else 1)
    for source in result.done:
        click.echo(plain(f"{source['edge']} {source['path']}: from byte {source['from']:,} back to {source['to']:,}"))
    for reason in result.unread:
        click.echo(f"not set back: {reason}; run telemetry rewind of the version that wrote it", err=True)
    for name, reason in away(edges).items():
        at = f"the broker {name}".rstrip()
        click.echo(
            f"not set back: edges of {at}, which does not answer ({reason}); run telemetry rewind again when it is back. Those "
            "that stream then hear of the restore with their next acknowledgement",
            err=True,
        )
    if left:
        more = f" and {len(left) - MAX_NAMED:,} more" if len(left) > MAX_NAMED else ""
        click.echo(plain(f"no broker that answers knows {', '.join(left[:MAX_NAMED])}{more}"), err=True)
    if result.done or not is_all:
        click.echo(f"{counted(len(result.done), 'source')} set back")
    else:
        click.echo("every edge is where the ledger is")
    ctx.exit(0 if is_all else 1)


def _set_back(client: redis.Redis, keys: Keys, edge: str, connection: Connection, result: Result) -> None:
    """Set back the sources of an edge at its broker. Raises RedisError."""
    for source_id, document in reading.documents(client, keys, edge).items():
        if not document:
            continue
        try:
            state = decode(document)
        except StateError as error:
            result.unread.append(f"{edge} {source_id}: {error}")
            continue
        held = ledger_ranges(connection, edge, state.fingerprint, state.shown_path, state.anchor_us)
        new = rewound(state, held)
        # Also where nothing changes: acknowledgements of forgotten commits may wait to be collected.
        overwrite(client, keys, edge, source_id, new)
        before, after = state.window.committed, new.window.committed
        if after != before:
            result.done.append({"edge": edge, "path": state.shown_path, "from": before, "to": after})
