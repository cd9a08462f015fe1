"""`telemetry deadletter`: looks at messages that could not be stored, retries them, or lets them go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from telemetry.cli.database import database
from telemetry.cli.session import connected, data_dir_option, json_option, load_settings, operator
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.store import audit_log, deadletters

ids_argument = click.argument("ids", nargs=-1, type=click.IntRange(1, 2**62))
all_option = click.option("--all", "everything", is_flag=True, help="All of them.")


@click.group()
@data_dir_option
@click.pass_context
def deadletter(ctx: click.Context, data_dir: Path | None) -> None:
    """Look at messages that could not be stored, retry them, or let them go."""
    settings = load_settings(data_dir)
    ctx.obj = (settings, ctx.with_resource(database(settings, "deadletter")))


@deadletter.command(name="list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
@click.pass_obj
def list_letters(obj: tuple[Settings, Engine], limit: int, as_json: bool) -> None:
    """List the oldest dead letters."""
    with obj[1].connect() as connection:
        rows = deadletters.listed(connection, limit)
    if as_json:
        click.echo(json.dumps([{**row, "died_at": row.died_at.isoformat()} for row in rows]))
        return
    for row in rows:
        click.echo(f"{row.id}  {row.died_at:%Y-%m-%d %H:%M:%S}  {row.edge or '-'}  {row.batch_id}  {row.error}")
    if not rows:
        click.echo("no dead letters")


@deadletter.command()
@click.argument("letter_id", metavar="ID", type=click.IntRange(1, 2**62))
@click.pass_obj
def show(obj: tuple[Settings, Engine], letter_id: int) -> None:
    """Show one letter as JSON: its error, its header, the size of its payload."""
    with obj[1].connect() as connection:
        row = deadletters.read(connection, letter_id)
    if row is None:
        raise click.ClickException(f"there is no dead letter {letter_id}")
    told: dict[str, Any] = {**row._mapping, "died_at": row.died_at.isoformat()}  # noqa: SLF001
    told["payload_bytes"] = len(told.pop("payload"))
    click.echo(json.dumps(told, indent=2))


@deadletter.command()
@ids_argument
@all_option
@json_option
@click.pass_context
def retry(ctx: click.Context, ids: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Store letters now, here. Those that die again stay letters; exit code 1 then."""
    settings, engine = ctx.obj
    tried: list[dict[str, Any]] = []
    with connected(settings) as client:
        collector = Collector(settings, engine, Acks(client, Keys(settings.key_prefix), settings.ack_ttl_s))
        for letter_id in _chosen(engine, ids, everything):
            with engine.begin() as connection:
                letter = deadletters.read(connection, letter_id)
                if letter is None:
                    raise click.ClickException(f"there is no dead letter {letter_id}")
                deadletters.reopen(connection, letter)
            # The letter goes only after its batch is stored, or has become a letter anew.
            outcome = collector.persist(letter.header, letter.payload)
            with engine.begin() as connection:
                deadletters.drop(connection, letter_id)
                about = {"batch": letter.batch_id, "edge": letter.edge, "status": outcome.status}
                audit_log.note(connection, operator(), "deadletter.retry", str(letter_id), about)
            tried.append({"id": letter_id, "status": outcome.status, "error": outcome.error})
            if not as_json:
                click.echo(f"{letter_id}  {outcome.status}{f': {outcome.error}' if outcome.error else ''}")
    if as_json:
        click.echo(json.dumps(tried))
    ctx.exit(1 if any(each["status"] == "dead" for each in tried) else 0)


@deadletter.command()
@ids_argument
@all_option
@json_option
@click.pass_obj
def drop(obj: tuple[Settings, Engine], ids: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Let letters go for ever. Their batches stay dead in the ledger."""
    told: list[dict[str, Any]] = []
    for letter_id in _chosen(obj[1], ids, everything):
        with obj[1].begin() as connection:
            gone = deadletters.drop(connection, letter_id)
            if gone:
                audit_log.note(connection, operator(), "deadletter.drop", str(letter_id))
        told.append({"id": letter_id, "dropped": gone})
        if not as_json:
            click.echo(f"{letter_id}  {'dropped' if gone else 'was not there'}")
    if as_json:
        click.echo(json.dumps(told))


def _chosen(engine: Engine, ids: tuple[int, ...], everything: bool) -> list[int]:
    if bool(ids) == everything:
        raise click.UsageError("name letters, or say --all")
    if not everything:
        return list(ids)
    with engine.connect() as connection:
        return deadletters.ids(connection)
