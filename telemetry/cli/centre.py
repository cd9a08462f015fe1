"""The ledger of the centre, as far as a command that also runs at edges can reach it.

An edge may have no driver for the database: then this module cannot be imported (ModuleNotFoundError).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.read import settled
from telemetry.store.read.settled import Settled

_T = TypeVar("_T")


def now(settings: Settings) -> datetime | None:
    """The database's clock; None if it cannot be asked."""
    return _asked(settings, settled.now)


def counts(settings: Settings, copies: Mapping[str, int], since: datetime) -> Settled | None:
    """What became of batches of this edge, see `settled`; None if the database cannot tell of all of them."""
    return _asked(settings, lambda connection: settled.settled(connection, settings.edge, copies, since))


def _asked(settings: Settings, ask: Callable[[Connection], _T]) -> _T | None:
    engine = make_engine(settings, application="ingest")
    try:
        with engine.connect() as connection:
            return ask(connection)
    except SQLAlchemyError:
        return None
    finally:
        engine.dispose()
