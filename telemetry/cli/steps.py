"""Does all steps of a chore by hand, one after the other, for the subcommands of `telemetry db`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import click
import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from telemetry.settings import Settings
from telemetry.store.upkeep import chores
from telemetry.store.upkeep.chores import Chore

# A reader that takes long keeps a step out; this long it is asked again.
PATIENCE_S = 60.0
RETRY_S = 0.5


def do_all(engine: Engine, settings: Settings, chore: Chore, work: Callable[[Connection, Settings, int], int]) -> None:
    """Do steps until none is left, or another process does them. Raises ClickException where others keep their locks."""
    by_hand, deadline_s = replace(chore, work=work), time.monotonic() + PATIENCE_S
    while True:
        try:
            if not chores.run(engine, settings, by_hand, chore.max_rows):
                return
            deadline_s = time.monotonic() + PATIENCE_S
        except (OperationalError, psycopg.errors.LockNotAvailable) as error:
            if not isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable):
                raise
            if time.monotonic() > deadline_s:
                raise click.ClickException(f"others kept their locks for {PATIENCE_S:g} s: run it again later") from None
            time.sleep(RETRY_S)
        except psycopg.Error as error:
            raise click.ClickException(str(error).partition("\n")[0]) from None
