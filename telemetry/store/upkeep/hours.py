"""Fills in what samples of sealed days come to in each hour, where a version before sealed the day."""

from __future__ import annotations

from sqlalchemy import Connection, text

from telemetry.store import sealed_rows
from telemetry.store.engine import driver
from telemetry.store.hours import MIN_SAMPLES, summed

# Rows of one step; a day of 1 s has 86,400 samples.
MAX_ROWS = 40
SOME = text(f"SELECT series_id, day FROM sealed WHERE hours IS NULL AND n >= {MIN_SAMPLES} LIMIT {MAX_ROWS}")  # noqa: S608 - numbers
FILL = "UPDATE sealed SET hours = %s WHERE series_id = %s AND day = %s"


def fill(connection: Connection) -> int:
    """Fill in some rows; how many. The lock that keeps a sealer away is that of `chores`."""
    keys = connection.execute(SOME).all()
    rows = sealed_rows.fetch(driver(connection), [key.series_id for key in keys], [key.day for key in keys])
    with driver(connection).cursor() as cursor:
        for row in rows:
            if (hours := summed(row.ts_us, row.values)) is not None:
                cursor.execute(FILL, (hours.tolist(), row.series, row.day))
    return len(rows)
