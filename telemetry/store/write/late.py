"""Samples of days that are sealed: compared with what is there before they are stored or counted, then stored as rows again.

The rows are those that `samples` left in the temporary table `staging`. What is there is in the arrays, in the partition of a
day that is just being sealed, or in `late` itself. All runs inside the caller's transaction, which has entered its batches in
the ledger: its lock on `samples` keeps days from being sealed meanwhile, and the lock on `late` keeps rows from being merged.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import psycopg

from telemetry.readings.arrays import Bools, Int64s
from telemetry.store import sealed_rows
from telemetry.store.sealed_rows import SealedRow

# The table of what is stored under the keys of staged rows.
STORED = "stored"
# Rows of sealed days that are in memory at once: the values of a day of 1 s are 0.7 MB.
ROWS_AT_ONCE = 200
CREATE = """
    CREATE TEMP TABLE IF NOT EXISTS stored (series_id bigint, ts timestamptz, value double precision) ON COMMIT DELETE ROWS
"""
# The partition of days that are just being sealed, by its name: whoever detaches it hides it, and it will be sealed.
FROZEN = "SELECT frozen FROM sealed_spans WHERE sealed_at IS NULL AND to_regclass(frozen) IS NOT NULL"
FIND_FROZEN = "INSERT INTO stored SELECT r.series_id, r.ts, r.value FROM {} r JOIN staging s USING (series_id, ts)"
INSERT = """
    WITH new AS (
        INSERT INTO late SELECT series_id, ts, value FROM staging s
        WHERE NOT EXISTS (SELECT FROM stored t WHERE (t.series_id, t.ts) = (s.series_id, s.ts))
        ORDER BY series_id, ts ON CONFLICT DO NOTHING RETURNING series_id, ts
    )
    DELETE FROM staging s USING new WHERE (new.series_id, new.ts) = (s.series_id, s.ts)
"""
FIND_LATE = """
    INSERT INTO stored SELECT DISTINCT l.series_id, l.ts, l.value FROM late l JOIN staging s USING (series_id, ts)
    WHERE NOT EXISTS (SELECT FROM stored t WHERE (t.series_id, t.ts) = (s.series_id, s.ts))
"""


def insert_staged(connection: psycopg.Connection, series: Int64s, ts_us: Int64s) -> None:
    """Store the staged rows whose key is new, given by series and time in order. The others stay staged."""
    connection.execute("LOCK TABLE late IN ROW EXCLUSIVE MODE")
    connection.execute(CREATE)
    connection.execute("TRUNCATE stored")
    for sealed in _sealed(connection, series, ts_us):
        _keep(connection, sealed, ts_us[series == sealed.series])
    for (frozen,) in connection.execute(FROZEN).fetchall():
        connection.execute(FIND_FROZEN.format(frozen).encode())
    connection.execute(INSERT)


def find_stored(connection: psycopg.Connection) -> None:
    """Add to `stored` what `late` has under the keys of rows that are staged now."""
    connection.execute(FIND_LATE)


def _sealed(connection: psycopg.Connection, series: Int64s, ts_us: Int64s) -> Iterator[SealedRow]:
    """The rows of sealed days that may have the keys."""
    numbers, days = sealed_rows.keys(series, ts_us)
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        yield from sealed_rows.fetch(connection, numbers[start : start + ROWS_AT_ONCE], days[start : start + ROWS_AT_ONCE])


def _keep(connection: psycopg.Connection, sealed: SealedRow, ts_us: Int64s) -> None:
    """Put what a row of a sealed day has of some times into `stored`."""
    same: Bools = np.isin(sealed.ts_us, ts_us)
    if same.any():
        query = "INSERT INTO stored SELECT %s, * FROM unnest(%s::timestamptz[], %s::float8[])"
        times = [sealed_rows.time_of(at) for at in sealed.ts_us[same].tolist()]
        connection.execute(query, (sealed.series, times, sealed.values[same].tolist()))
