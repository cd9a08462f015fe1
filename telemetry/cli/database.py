"""The database for one command. Errors of the database are reported in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from telemetry import broker
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


def _explanation(error: DBAPIError, where: str) -> str:
    reason = str(error.orig).strip().splitlines()[0]
    if getattr(error.orig, "sqlstate", None) in NOT_MIGRATED:
        return f"the database {where} does not have the tables of this version: {reason}; run telemetry db upgrade"
    if isinstance(error, OperationalError):
        return f"cannot reach the database {where}: {reason}"
    return f"the database {where} refused a statement: {reason}"
