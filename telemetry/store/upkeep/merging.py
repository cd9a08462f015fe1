"""Merges samples that came late into the arrays of their day: what is not touched is not done again.

Collectors that bring late samples wait meanwhile, others do not. The lock that keeps a second sealer away is that of `chores`.
"""

from __future__ import annotations

import numpy as np
import psycopg
from sqlalchemy import Connection, text

from telemetry.readings.arrays import Int64s
from telemetry.store import sealed_rows
from telemetry.store.engine import driver
from telemetry.store.partitions import DAY_US
from telemetry.store.sealed_rows import NAMES, Samples, SealedRow
from telemetry.store.upkeep import months

# Samples of one step. Each may touch a row of its own, which has some thousand samples, or at 1 s 86,400.
MAX_LATE = 20_000
MAX_ROWS = 500
# Samples of those rows, which are in memory at once.
MAX_SEALED = 1_000_000
# Somebody may have dropped them.
MONTHS = text("""
    SELECT DISTINCT date_trunc('month', ts AT TIME ZONE 'UTC')::date FROM late
    WHERE to_regclass('sealed_' || to_char(ts AT TIME ZONE 'UTC', 'YYYYMM')) IS NULL
""")
LOCK = text("LOCK TABLE late IN SHARE ROW EXCLUSIVE MODE")
# The first of them by key, of at most so many series and days.
SOME = """
    SELECT series_id, ts, value FROM (
        SELECT *, dense_rank() OVER (ORDER BY series_id, (ts AT TIME ZONE 'UTC')::date) AS place
        FROM (SELECT * FROM late ORDER BY series_id, ts LIMIT {limit}) AS firsts
    ) AS ranked WHERE place <= {rows}
"""
SIZES = """
    SELECT k.place, s.n FROM sealed s JOIN unnest(%s::bigint[], %s::date[]) WITH ORDINALITY AS k (series_id, day, place)
        USING (series_id, day)
    WHERE day >= %s AND day <= %s
"""
STORE = f"""
    INSERT INTO sealed ({", ".join(NAMES)}) SELECT {", ".join(NAMES)} FROM merged ORDER BY series_id, day
    ON CONFLICT (series_id, day) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in NAMES[2:])}
"""  # noqa: S608 - names of above
# Times that no series of the day has any more.
UNUSED = """
    DELETE FROM sealed_times t USING (SELECT DISTINCT day, id FROM unnest(%s::date[], %s::bigint[]) AS k (day, id)) AS k
    WHERE (t.day, t.id) = (k.day, k.id) AND NOT EXISTS (SELECT FROM sealed s WHERE (s.day, s.times_id) = (k.day, k.id))
"""
COUNT = """
    UPDATE sealed_spans SET samples = samples + k.number
    FROM (
        SELECT s.first_day, sum(m.number) AS number FROM sealed_spans s
        JOIN unnest(%s::date[], %s::bigint[]) AS m (day, number) ON m.day >= s.first_day AND m.day < s.end_day GROUP BY 1
    ) AS k WHERE k.first_day = sealed_spans.first_day
"""
DELETE = "DELETE FROM late WHERE (series_id, ts) <= (%s, %s)"


def merge(connection: Connection, limit: int = MAX_LATE) -> int:
    """Merge the first late samples by key, at most `limit`. Returns how many. No span may be unfinished."""
    if not connection.scalar(text("SELECT EXISTS (SELECT FROM late)")):
        return 0
    connection.execute(text("SET LOCAL lock_timeout = '500ms'"))
    connection.execute(LOCK)
    beneath = driver(connection)
    for month in connection.scalars(MONTHS):
        months.add(connection, month)
    late = _fitting(beneath, sealed_rows.copied(beneath, SOME.format(limit=min(limit, MAX_LATE), rows=MAX_ROWS)))
    before = sealed_rows.fetch(beneath, *sealed_rows.keys(late.series, late.ts_us))
    merged = together(before, late)
    beneath.execute("CREATE TEMP TABLE IF NOT EXISTS merged (LIKE sealed INCLUDING COMPRESSION) ON COMMIT DELETE ROWS")
    sealed_rows.write(beneath, sealed_rows.encode(merged), "merged")
    beneath.execute(STORE.encode())
    beneath.execute(UNUSED, ([row.day for row in before], [row.times_id for row in before]))
    days, numbers = np.unique(_days(merged), return_counts=True)
    counted = {row.day: 0 for row in before}
    for row in before:
        counted[row.day] += len(row.ts_us)
    dates = [sealed_rows.time_of(day * DAY_US).date() for day in days.tolist()]
    beneath.execute(COUNT, (dates, [n - counted.get(day, 0) for day, n in zip(dates, numbers.tolist(), strict=True)]))
    beneath.execute(DELETE, (int(late.series[-1]), sealed_rows.time_of(int(late.ts_us[-1]))))
    return len(late.series)


def _fitting(connection: psycopg.Connection, late: Samples) -> Samples:
    """The first of some samples by key: of rows that have no more than MAX_SEALED together, or of the first row alone."""
    series, days = sealed_rows.keys(late.series, late.ts_us)
    sizes = np.zeros(len(days), np.int64)
    for place, number in connection.execute(SIZES, (series, days, min(days), max(days))):
        sizes[place - 1] = number
    rows = max(1, int(np.searchsorted(np.cumsum(sizes), MAX_SEALED, "right")))
    if rows == len(days):
        return late
    row = np.cumsum(np.diff(late.series, prepend=-1).astype(np.bool_) | np.diff(_days(late), prepend=-1).astype(np.bool_))
    first = row <= rows
    return Samples(late.series[first], late.ts_us[first], late.values[first])


def together(before: list[SealedRow], late: Samples) -> Samples:
    """All samples of the rows, and the late ones. Of a key that is in both the sealed one stays, as it was stored first."""
    series = np.concatenate([*(np.full(len(row.ts_us), row.series) for row in before), late.series])
    ts_us = np.concatenate([*(row.ts_us for row in before), late.ts_us])
    values = np.concatenate([*(row.values for row in before), late.values])
    return sealed_rows.ordered(Samples(series, ts_us, values))


def _days(samples: Samples) -> Int64s:
    return samples.ts_us // DAY_US
