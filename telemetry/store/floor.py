"""The floor of retention: the begin of a day (UTC) below which no sample is kept, and no reading is stored.

It stands in the database, so that what becomes of a reading depends neither on which collector stores it, nor on what that one
is set to. It rises with what is dropped, in the same transaction, and falls only when a person says so: both are
`telemetry.store.upkeep.retention`'s, which keeps all others from `samples` meanwhile. Whoever stores readings asks in that
transaction whether the floor that it went by still holds (`telemetry.store.write.ledger`).
"""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

# Below every time: nothing was dropped yet.
NO_FLOOR_US = int(np.iinfo(np.int64).min)
# An expression for the SQL of others.
FLOOR_US = f"""
    coalesce((SELECT (extract(epoch FROM kept_since) * 1000000)::bigint FROM retention WHERE level = 'samples'),
             ({NO_FLOOR_US})::bigint)
"""  # noqa: S608 - a number
ASK = text(f"SELECT {FLOOR_US}")


class BelowFloorError(SQLAlchemyError):
    """A partition is asked for that lies below the floor: the floor has risen, and must be asked for again."""


class Floor:
    """The floor that one process knows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._us: int | None = None

    def forget(self) -> None:
        """Ask again at the next use."""
        self._us = None

    def us(self) -> int:
        """The floor in microseconds from 1970, NO_FLOOR_US if there is none."""
        if self._us is None:
            with self._engine.connect() as connection:
                floor_us = ask(connection)
            # Not before: a new connection makes this forget.
            self._us = floor_us
        return self._us


def ask(connection: Connection) -> int:
    """The floor in microseconds from 1970, NO_FLOOR_US if there is none."""
    return int(connection.execute(ASK).scalar_one())
