"""What commands share: settings, also those of a running `telemetry up`, options, and a client of the broker.

The database is `database`'s, as an edge has no driver for it.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import redis

from telemetry import broker
from telemetry.cli import data_dir
from telemetry.local.announcement import environment
from telemetry.progress.everywhere import Everywhere
from telemetry.progress.keys import Keys
from telemetry.settings import PREFIX, Settings

data_dir_option = data_dir.data_dir_option()
# Variables of which one at least says where the system is.
PLACES = tuple(f"{PREFIX}{name}_URL{kind}" for name in ("BROKER", "DATABASE") for kind in ("", "_FILE"))
PLACES += tuple(f"{PREFIX}BROKER_URLS{kind}" for kind in ("", "_FILE"))
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def load_settings(directory: Path | None) -> Settings:
    """The settings of the environment, and of the `telemetry up` that runs in the data directory where it names none.

    Where neither says where broker and database are, the command ends: a stranger's broker may listen at the default address.
    """
    if directory is not None and not directory.is_dir():
        raise click.UsageError(f"--data-dir: there is no directory {directory}")
    place = directory or Settings.load().data_dir
    running = environment(place)
    if not running and not any(name in os.environ for name in PLACES):
        raise click.ClickException(
            f"no telemetry up runs in {place}; --data-dir names another directory, or set TELEMETRY_BROKER_URL and "
            "TELEMETRY_DATABASE_URL"
        )
    return Settings.load({**running, **os.environ})


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


@contextmanager
def everywhere(settings: Settings) -> Iterator[Everywhere]:
    """The edges of all brokers, for one command, once each broker was asked. Where none can be used, that is reported.

    What is not done as some are away is for the command to say (`away`).
    """
    # One that is frozen is not to be waited for as long as the only one.
    retries = {"retries": 1} if len(settings.brokers) > 1 else {}
    with ExitStack() as stack:
        clients = {name: stack.enter_context(connected(one, **retries)) for name, one in settings.brokers.items()}
        edges = Everywhere(clients, Keys(settings.key_prefix))
        edges.look()
        yield edges


def away(edges: Everywhere) -> dict[str, str]:
    """Why brokers do not answer, by their names. Nothing of it is secret."""
    return {name: str(error) for name, error in edges.away.items()}


def operator() -> str:
    """The user at the command line, by the name that the audit log gets."""
    try:
        return f"{getpass.getuser()} at the command line"
    except (KeyError, OSError):
        return "unknown user at the command line"
