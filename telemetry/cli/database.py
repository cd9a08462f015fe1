"""The database for one command, and for the commands of a group. Errors of the database are reported in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from telemetry import broker
from telemetry.cli.session import data_dir_option, load_settings
from telemetry.settings import Settings
from telemetry.store.engine import make_engine

# SQLSTATEs of Postgres: a table or a column does not exist.
NOT_MIGRATED = ("42P01", "42703")


@contextmanager
def database(settings: Settings, command: str) -> Iterator[Engine]:
    """An engine for one command. A database that cannot be used is reported in one line."""
    engine = make_engine(settings, application=command)
    try:
        yield engine
    except DBAPIError as error:
        raise click.ClickException(_explanation(error, broker.shown(settings.database_url))) from None
    finally:
        engine.dispose()


def with_database(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command of a group an engine as its first argument, the settings as click's object, and the option --data-dir."""

    @data_dir_option
    @click.pass_context
    @wraps(function)
    def opened(ctx: click.Context, /, *args: Any, data_dir: Path | None, **options: Any) -> None:
        ctx.obj = load_settings(data_dir)
        # The database sees the group's name.
        name = ctx.parent.info_name if ctx.parent else ctx.info_name
        function(ctx.with_resource(database(ctx.obj, str(name))), *args, **options)

    return opened


def _explanation(error: DBAPIError, where: str) -> str:
    reason = str(error.orig).strip().splitlines()[0]
    if getattr(error.orig, "sqlstate", None) in NOT_MIGRATED:
        return f"the database {where} does not have the tables of this version: {reason}; run telemetry db upgrade"
    if isinstance(error, OperationalError):
        return f"cannot reach the database {where}: {reason}"
    return f"the database {where} refused a statement: {reason}"
