"""What commands share: settings, also those of a running `telemetry up`, options, and a client of the broker.

The database is `database`'s, as an edge has no driver for it.
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
from telemetry.local.announcement import environment
from telemetry.settings import Settings

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Data directory of the `telemetry up` to use; default .telemetry or TELEMETRY_DATA_DIR.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def load_settings(data_dir: Path | None, **overrides: str) -> Settings:
    """The settings of the environment, and of the `telemetry up` that runs in the data directory where it names none."""
    place = data_dir or Settings.load().data_dir
    return Settings.load({**environment(place), **os.environ, **overrides})


@contextmanager
def connected(settings: Settings, *, retries: int = 3) -> Iterator[redis.Redis]:
    """A client of the broker for one command. A broker that cannot be used is reported in one line."""
    client = broker.connect(settings, retries=retries)
    try:
        yield client
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise click.ClickException(f"cannot reach the broker {broker.shown(settings.broker_url)}: {error}") from None
    except redis.RedisError as error:
        raise click.ClickException(f"the broker {broker.shown(settings.broker_url)} refused a command: {error}") from None
    finally:
        client.close()


def operator() -> str:
    """The user at the command line, by the name that the audit log gets."""
    try:
        return f"{getpass.getuser()} at the command line"
    except (KeyError, OSError):
        return "unknown user at the command line"
