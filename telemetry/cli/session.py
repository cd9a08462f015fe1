"""What every command that uses the system begins with: settings (of a running `telemetry up` too) and the broker.

The database is in `database`: an edge has no driver for it.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import redis

from telemetry import broker
from telemetry.local.running_system import environment
from telemetry.settings import Settings

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
def connected(settings: Settings) -> Iterator[redis.Redis]:
    """A client of the broker for one command; a broker that cannot be reached is one clear line."""
    client = broker.connect(settings)
    try:
        yield client
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise click.ClickException(f"cannot reach the broker {broker.shown(settings.broker_url)}: {error}") from None
    except redis.RedisError as error:
        raise click.ClickException(f"the broker {broker.shown(settings.broker_url)} refuses: {error}") from None
    finally:
        client.close()


def operator() -> str:
    """Who is at the command line, for the audit log."""
    try:
        return f"{getpass.getuser()} at the command line"
    except (KeyError, OSError):
        return "somebody at the command line"
