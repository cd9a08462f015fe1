"""`telemetry rewind`: sets the edges back to what the ledger of a restored database holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import redis

from telemetry.cli.database import database
from telemetry.cli.session import data_dir_option, everywhere, json_option, load_settings, operator
from telemetry.progress import reading
from telemetry.progress.everywhere import Everywhere
from telemetry.progress.keys import Keys
from telemetry.progress.rewind import overwrite, rewound
from telemetry.progress.state import StateError, decode
from telemetry.store import audit_log, generations
from telemetry.store.read.gaps import ledger_ranges


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
    """
    settings = load_settings(data_dir)
    done: list[dict[str, Any]] = []
    unread: list[str] = []
    with everywhere(settings) as edges, database(settings, "rewind") as engine, engine.connect() as connection:
        keys = Keys(settings.key_prefix)
        # First, so that edges that are away, or whose broker has lost its keys, hear of it when they come back.
        generation = generations.begin(connection, generations.COMMAND)
        connection.commit()
        generations.end_sessions(connection)
        for client in edges.clients.values():
            client.set(keys.generation(), generation)
        for edge, client, source_id, document in _documents(edges, keys):
            try:
                state = decode(document)
            except StateError as error:
                unread.append(f"{edge} {source_id}: {error}")
                continue
            held = ledger_ranges(connection, edge, state.fingerprint, state.shown_path, state.anchor_us)
            new = rewound(state, held)
            # Also where nothing changes: acknowledgements of forgotten commits may wait to be collected.
            overwrite(client, keys, edge, source_id, new)
            before, after = state.window.committed, new.window.committed
            if after != before:
                done.append({"edge": edge, "path": state.shown_path, "from": before, "to": after})
        audit_log.note(connection, operator(), "rewind", "edges", {"rewound": done})
        connection.commit()
    if as_json:
        click.echo(json.dumps({"rewound": done, "unread": unread}))
        ctx.exit(1 if unread else 0)
    for source in done:
        click.echo(f"{source['edge']} {source['path']}: from byte {source['from']:,} back to {source['to']:,}")
    for reason in unread:
        click.echo(f"not set back: {reason}; run telemetry rewind of the version that wrote it", err=True)
    if not unread:
        click.echo(f"{len(done)} sources set back" if done else "every edge is where the ledger is")
    ctx.exit(1 if unread else 0)


def _documents(edges: Everywhere, keys: Keys) -> Iterator[tuple[str, redis.Redis, str, bytes]]:
    """Each source: its edge, the broker at which that streams, its id, and its state."""
    for edge in sorted(edges.states):
        client = edges.client_of(edge)
        for source_id, document in reading.documents(client, keys, edge).items():
            if document:
                yield edge, client, source_id, document
