"""In which forms samples stand: rows, arrays of sealed days, late ones. How large each is, and whether arrays are right."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from telemetry.store import sealed_rows
from telemetry.store.engine import driver
from telemetry.store.hours import summed

# Bytes with indexes, arrays stored out of line, and the times. Samples in rows are an estimate, as `totals` has it.
LEVELS = text("""
    WITH tables AS (
        SELECT inhrelid AS oid, CASE inhparent WHEN 'samples'::regclass THEN 'rows' ELSE 'sealed' END AS level
        FROM pg_inherits WHERE inhparent IN ('samples'::regclass, 'sealed'::regclass, 'sealed_times'::regclass)
        UNION ALL SELECT 'late'::regclass, 'late'
        UNION ALL SELECT 'sealing'::regclass, 'sealing'
    ), sizes AS (
        SELECT level, count(*) AS tables, sum(pg_total_relation_size(oid))::bigint AS size_bytes FROM tables GROUP BY level
    ), counts AS (
        SELECT 'rows' AS level, sum(pg_relation_size(c.oid) * CASE WHEN relpages > 0 AND reltuples >= 0
            THEN reltuples / (relpages * current_setting('block_size')::float8) ELSE 1 / 52.0 END)::bigint AS samples
        FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'samples'::regclass
        UNION ALL SELECT 'sealed', sum(samples)::bigint FROM sealed_spans
        UNION ALL SELECT 'late', count(*) FROM late
        UNION ALL SELECT 'sealing', sum(n)::bigint FROM sealing
    )
    SELECT level, tables, coalesce(samples, 0) AS samples, size_bytes FROM sizes JOIN counts USING (level) ORDER BY level
""")
METRICS = text("""
    SELECT m.name AS metric, sum(s.n)::bigint AS samples,
           sum(pg_column_size(s.*))::bigint AS size_bytes
    FROM sealed s JOIN series ON series.id = s.series_id JOIN metrics m ON m.id = series.metric_id
    GROUP BY m.name ORDER BY size_bytes DESC
""")
PARTITIONS = text(r"""
    SELECT substring(bound FROM $$FROM \('([^' ]+)$$)::date AS first_day,
           substring(bound FROM $$TO \('([^' ]+)$$)::date AS end_day,
           CASE WHEN f.frozen IS NULL THEN 'rows' ELSE 'being sealed' END AS level, c.oid::regclass::text AS name,
           pg_total_relation_size(c.oid) AS size_bytes
    FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
    CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) OFFSET 0) AS of_partition (bound)
    LEFT JOIN sealed_spans f ON f.frozen = c.relname
    WHERE inhparent = 'samples'::regclass AND NOT inhdetachpending
    UNION ALL
    SELECT first_day, end_day, 'sealed', NULL, NULL FROM sealed_spans WHERE sealed_at IS NOT NULL
    ORDER BY 1, 2, 3
""")
# What a row of `sealed` must be: as many of everything as it says, in order, within its day.
WRONG = text("""
    SELECT s.series_id, s.day FROM sealed s LEFT JOIN sealed_times t ON (t.day, t.id) = (s.day, s.times_id)
    WHERE cardinality(t.times) IS DISTINCT FROM s.n OR cardinality(coalesce(s.low, s.floats)) IS DISTINCT FROM s.n
        OR coalesce(cardinality(s.middle), s.n) <> s.n OR coalesce(cardinality(s.high), s.n) <> s.n OR s.divisor = 0
    UNION ALL
    SELECT NULL, day FROM sealed_times t WHERE EXISTS (
        SELECT FROM (
            SELECT at, lag(at) OVER (ORDER BY place) AS before FROM unnest(times) WITH ORDINALITY AS u (at, place)
        ) AS o
        WHERE at <= before OR (at AT TIME ZONE 'UTC')::date <> t.day
    )
    ORDER BY 2, 1 LIMIT :limit
""")
UNCOUNTED = text("""
    SELECT p.first_day, p.end_day, p.samples, coalesce(sum(s.n), 0)::bigint AS counted
    FROM sealed_spans p LEFT JOIN sealed s ON s.day >= p.first_day AND s.day < p.end_day
    WHERE p.sealed_at IS NOT NULL GROUP BY p.first_day HAVING p.samples <> coalesce(sum(s.n), 0) ORDER BY p.first_day
""")
TWICE = text("""
    SELECT count(*) FROM late l JOIN sealed s ON s.series_id = l.series_id AND s.day = (l.ts AT TIME ZONE 'UTC')::date
    JOIN sealed_times t ON (t.day, t.id) = (s.day, s.times_id) WHERE l.ts = ANY (t.times)
""")
WITH_HOURS = text("SELECT series_id, day FROM sealed WHERE hours IS NOT NULL ORDER BY day, series_id")
# Rows of sealed days that are in memory at once.
ROWS = 64


def levels(connection: Connection) -> list[dict[str, Any]]:
    """Tables, samples and bytes of each level."""
    return [dict(row) for row in connection.execute(LEVELS).mappings()]


def metrics(connection: Connection) -> list[dict[str, Any]]:
    """Samples and bytes of sealed days by metric, without indexes and times, the largest first. It reads all of them."""
    return [dict(row) for row in connection.execute(METRICS).mappings()]


def partitions(connection: Connection) -> list[dict[str, Any]]:
    """Stretches of days [first_day, end_day) in order, each with its form."""
    return [dict(row) for row in connection.execute(PARTITIONS).mappings()]


def wrong(connection: Connection, limit: int) -> list[str]:
    """What is wrong with sealed days, in words, at most `limit` of each kind. It reads all of them, as they are at one moment.

    The caller sees to the moment: the connection is in REPEATABLE READ.
    """
    rows = connection.execute(WRONG, {"limit": limit})
    said = [f"series {series or 'times'} of {day}: lengths, order or times do not fit" for series, day in rows]
    for first, end, samples, counted in connection.execute(UNCOUNTED):
        said.append(f"days {first} to {end}, the last excluded: {samples} samples were sealed, {counted} are there")
    if twice := connection.scalar(TWICE):
        said.append(f"{twice} samples are in `late` and sealed too")
    # What cannot be read has no hours.
    return said or list(islice(_unfit_hours(connection), limit))


def _unfit_hours(connection: Connection) -> Iterator[str]:
    """The rows whose hours are not what their samples come to; sums to rounding."""
    keys = connection.execute(WITH_HOURS).all()
    for start in range(0, len(keys), ROWS):
        some = keys[start : start + ROWS]
        for row in sealed_rows.fetch(driver(connection), [key.series_id for key in some], [key.day for key in some]):
            hours = summed(row.ts_us, row.values)
            if hours is None or row.hours is None or not np.allclose(hours, row.hours, rtol=1e-9, atol=0, equal_nan=True):
                yield f"series {row.series} of {row.day}: what its hours come to does not fit its samples"
