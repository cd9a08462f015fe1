"""`telemetry db`: the schema of the central database. What is stored in which form is shown by `sealed_days`."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from alembic.util import CommandError
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from telemetry.cli import retention, sealed_days
from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.database import with_database
from telemetry.cli.rules import rules
from telemetry.cli.session import json_option
from telemetry.store import durability, lock_table, migrate

RETRY_S = 1.0


@click.group()
@data_dir_option(expose_value=False)
def db() -> None:
    """Upgrade the database's schema, change which labels make a series, seal days, drop old ones, or show how it is."""


for _command in (rules, retention.retention, *sealed_days.COMMANDS):
    db.add_command(_command)


@db.command()
@click.argument("revision", default="head")
@click.option("--wait", is_flag=True, help="Wait until the database answers.")
@json_option
@with_database
def upgrade(engine: Engine, revision: str, wait: bool, as_json: bool) -> None:
    """Bring the schema to REVISION (default: the one this version needs). Safe to run from many places at once.

    A schema that a later version made stays as it is: this version can work on it.
    """
    if wait:
        _wait(engine, lambda _: None)
    with _errors_in_one_line():
        migrate.upgrade(engine, revision)
    _tell(migrate.current(engine), as_json=as_json)
    _warn(engine)


@db.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_database
def downgrade(engine: Engine, revision: str, yes: bool, as_json: bool) -> None:
    """Downgrade the schema to REVISION. `base` drops every table with its data."""
    if migrate.is_newer(present := migrate.current(engine)):
        raise click.ClickException(f"the database is at {present}, which a later version made; downgrade it with that version")
    if not yes:
        click.confirm(f"Downgrade the database to {revision}? Data that does not fit into that schema is lost.", abort=True)
    with _errors_in_one_line():
        migrate.downgrade(engine, revision)
    _tell(migrate.current(engine), as_json=as_json)


@db.command()
@click.option("--wait", is_flag=True, help="Wait until the database answers and is not older.")
@json_option
@with_database
def current(engine: Engine, wait: bool, as_json: bool) -> None:
    """Show the revision of the database and the one that this version needs. Exits 1 if the database is older.

    Warns if Postgres has too few locks for the partitions.
    """
    if wait:
        _wait(engine, lambda present: None if migrate.serves(present) else f"it is at {present or 'base'}")
    present = migrate.current(engine)
    _tell(present, as_json=as_json)
    _warn(engine)
    if not migrate.serves(present):
        sys.exit(1)


def _wait(engine: Engine, missing: Callable[[str | None], str | None]) -> None:
    """Return once the database answers and nothing is missing of its revision. Each new reason to wait is told once."""
    # Process 1 of a container ends on no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    last_reason = None
    while reason := _missing(engine, missing):
        if reason != last_reason:
            click.echo(f"waiting for the database: {reason}", err=True)
        last_reason = reason
        time.sleep(RETRY_S)


def _missing(engine: Engine, missing: Callable[[str | None], str | None]) -> str | None:
    try:
        return missing(migrate.current(engine))
    except OperationalError as error:
        return str(error.orig).strip().splitlines()[0]


def _tell(revision: str | None, *, as_json: bool) -> None:
    needed = migrate.head()
    newer = ": a later version made it, and this version can use it" if migrate.is_newer(revision) else ""
    text = f"database is at {revision or 'base'}, this version needs {needed}{newer}"
    click.echo(json.dumps({"revision": revision, "needed": needed}) if as_json else text)


def _warn(engine: Engine) -> None:
    with engine.connect() as connection:
        for advice in filter(None, (lock_table.look(connection).advice, durability.look(connection).advice)):
            click.echo(f"Warning: {advice}", err=True)


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise click.ClickException(str(error)) from None
