"""The database for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from telemetry import broker
from telemetry.settings import Settings
from telemetry.store.engine import make_engine

# Of Postgres: a table, or a column of one, is not there.
NOT_MIGRATED = ("42P01", "42703")


@contextmanager
def database(settings: Settings, command: str) -> Iterator[Engine]:
    """An engine for one command; a database that cannot be reached, or refuses, is one clear line."""
    engine = make_engine(settings, application=command)
    try:
        yield engine
    except DBAPIError as error:
        raise click.ClickException(_said(error, broker.shown(settings.database_url))) from None
    finally:
        engine.dispose()


def _said(error: DBAPIError, where: str) -> str:
    reason = str(error.orig).strip().splitlines()[0]
    if getattr(error.orig, "sqlstate", None) in NOT_MIGRATED:
        return f"the database {where} has not the tables of this version: {reason}; run telemetry db upgrade"
    if isinstance(error, OperationalError):
        return f"cannot reach the database {where}: {reason}"
    return f"the database {where} refuses: {reason}"
