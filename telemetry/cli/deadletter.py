"""`telemetry deadletter`: shows messages that could not be stored, retries them, or drops them.

The retry itself is `telemetry.collector.retry`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from sqlalchemy import Engine

from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.database import with_database
from telemetry.cli.foreign import plain
from telemetry.cli.session import everywhere, json_option, operator
from telemetry.collector.retry import NoLetterError
from telemetry.collector.retry import retry as retry_letters
from telemetry.settings import Settings
from telemetry.store import audit_log, deadletters

# A bigint of Postgres.
LARGEST_ID = 2**63 - 1


class LetterId(click.ParamType[int]):
    """The number by which a dead letter is listed."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        text = str(value)
        if not (text.isascii() and text.isdecimal() and 0 < int(text) <= LARGEST_ID):
            self.fail(f"{text!r} must be the number of a dead letter; telemetry deadletter list shows them", param, ctx)
        return int(text)


ids_argument = click.argument("ids", nargs=-1, metavar="[ID]...", type=LetterId())
all_option = click.option("--all", "everything", is_flag=True, help="All of them.")


@click.group()
@data_dir_option(expose_value=False)
def deadletter() -> None:
    """Show messages that could not be stored, retry them, or drop them.

    A dead letter is a message with a batch of readings that the centre could not process, such as one whose content is broken.
    It is kept with its error, so nothing of it is lost: `list` and `show` say why it died, `retry` stores it once the cause is
    mended, and `drop` gives its readings up. The file they come from is not safe to delete as long as it is a letter.
    """


@deadletter.command(name="list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
@with_database
def list_letters(engine: Engine, limit: int, as_json: bool) -> None:
    """List the oldest dead letters."""
    with engine.connect() as connection:
        rows = deadletters.listed(connection, limit)
    if as_json:
        click.echo(json.dumps([{**row, "died_at": row.died_at.isoformat()} for row in rows]))
        return
    for row in rows:
        about = plain(f"{row.edge or '-'}  {row.batch_id}  {row.error}")
        click.echo(f"{row.id}  {row.died_at:%Y-%m-%d %H:%M:%S}  {about}")
    if not rows:
        click.echo("no dead letters")


@deadletter.command()
@click.argument("letter_id", metavar="ID", type=LetterId())
@with_database
def show(engine: Engine, letter_id: int) -> None:
    """Show one letter as JSON: its error, its header, the size of its payload."""
    with engine.connect() as connection:
        row = deadletters.read(connection, letter_id)
    if row is None:
        raise click.ClickException(f"there is no dead letter {letter_id}")
    document: dict[str, Any] = {**row._mapping, "died_at": row.died_at.isoformat()}  # noqa: SLF001
    document["payload_bytes"] = len(document.pop("payload"))
    click.echo(json.dumps(document, indent=2))


@deadletter.command()
@ids_argument
@all_option
@json_option
@with_database
@click.pass_obj
def retry(settings: Settings, engine: Engine, ids: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Store letters now, in this process.

    The exit code is 1 if one of them dies again, or is refused as nobody could store it; it stays a letter then.
    An edge whose broker is away is not told; if it still waits for a batch, it sends that again, and hears of it then.
    """
    retried: list[dict[str, Any]] = []
    any_left = False
    with everywhere(settings) as edges:
        try:
            for letter_id, outcome in retry_letters(
                settings, engine, edges.nearest, _chosen(engine, ids, everything), actor=operator()
            ):
                status = outcome.shown_status
                retried.append({"id": letter_id, "status": status, "error": outcome.error})
                any_left |= outcome.is_dead or status == "refused"
                if not as_json:
                    click.echo(f"{letter_id}  {status}{f': {outcome.error}' if outcome.error else ''}")
        except NoLetterError as error:
            raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(retried))
    sys.exit(1 if any_left else 0)


@deadletter.command()
@ids_argument
@all_option
@json_option
@with_database
def drop(engine: Engine, ids: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Delete letters for good. Their batches stay dead in the ledger."""
    dropped: list[dict[str, Any]] = []
    for letter_id in _chosen(engine, ids, everything):
        with engine.begin() as connection:
            existed = deadletters.drop(connection, letter_id)
            if existed:
                audit_log.note(connection, operator(), "deadletter.drop", str(letter_id))
        dropped.append({"id": letter_id, "dropped": existed})
        if not as_json:
            click.echo(f"{letter_id}  {'dropped' if existed else 'was not there'}")
    if as_json:
        click.echo(json.dumps(dropped))


def _chosen(engine: Engine, ids: tuple[int, ...], everything: bool) -> list[int]:
    if bool(ids) == everything:
        raise click.UsageError("name letters by their ids, or use --all")
    if not everything:
        return list(ids)
    with engine.connect() as connection:
        return deadletters.ids(connection)
