"""What every command that uses the system begins with: settings (of a running `telemetry up` too), engine, broker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import redis
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from telemetry import broker
from telemetry.cli.found import environment
from telemetry.settings import Settings
from telemetry.store.engine import make_engine

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Data directory of the `telemetry up` to use; default .telemetry or TELEMETRY_DATA_DIR.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def load_settings(data_dir: Path | None, **overrides: str) -> Settings:
    """Settings from the environment; what it leaves open comes from the `telemetry up` that runs in the data directory."""
    place = data_dir or Settings.load().data_dir
    return Settings.load({**environment(place), **os.environ, **overrides})


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


@contextmanager
def connected(settings: Settings) -> Iterator[redis.Redis]:
    """A client of the broker for one command; a broker that cannot be reached is one clear line."""
    client = broker.connect(settings)
    try:
        yield client
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise click.ClickException(f"cannot reach the broker {broker.shown(settings.broker_url)}: {error}") from None
    finally:
        client.close()
