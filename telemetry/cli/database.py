"""The database for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from telemetry import broker
from telemetry.settings import Settings
from telemetry.store.engine import make_engine


@contextmanager
def database(settings: Settings, command: str) -> Iterator[Engine]:
    """An engine for one command; a database that cannot be reached is one clear line."""
    engine = make_engine(settings, application=command)
    try:
        yield engine
    except OperationalError as error:
        where = broker.shown(settings.database_url)
        raise click.ClickException(f"cannot reach the database {where}: {str(error.orig).splitlines()[0]}") from None
    finally:
        engine.dispose()
