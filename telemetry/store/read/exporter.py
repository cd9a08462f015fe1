"""What the exporter asks: totals of the ledger, sizes, what waits for a person, latest values.

`totals` and `quarantined` read whole tables, so they are for an occasional audit. The others are cheap enough for every look.
Trials (`telemetry.store.trials`) are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from telemetry.readings.names import TRIAL

TOTALS = text("""
    SELECT edge, coalesce(sum(batches) FILTER (WHERE status = 'stored'), 0) AS stored_batches,
           coalesce(sum(batches) FILTER (WHERE status = 'dead'), 0) AS dead_batches,
           sum(stored) AS stored, sum(duplicate) AS duplicate, sum(conflict) AS conflict, sum(blank) AS blank,
           sum(quarantined) AS quarantined, sum(expired) AS expired,
           coalesce(sum(rows) FILTER (WHERE status = 'dead'), 0) AS dead
    FROM ledger JOIN sources s ON s.id = source_id AND s.fingerprint <> :trial
    GROUP BY edge ORDER BY sum(batches) DESC, edge LIMIT :limit
""")
COMMIT_AGE = text("""
    SELECT extract(epoch FROM clock_timestamp() - greatest(
        (SELECT max(committed_at) FROM batches), (SELECT max(last_committed_at) FROM ledger_ranges)))::float8
""")
EDGES = text("SELECT edge FROM sources WHERE fingerprint <> :trial GROUP BY edge ORDER BY max(id) DESC LIMIT :limit")
SIZES = text("""
    SELECT c.relname AS name, coalesce(sum(pg_total_relation_size(coalesce(i.inhrelid, c.oid))), 0)::bigint AS size_bytes
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhparent = c.oid AND c.relkind = 'p'
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    GROUP BY c.relname ORDER BY c.relname
""")
# The upper bound is in the text of a partition's bound only: Postgres has no function that gives it.
PARTITIONS = text(r"""
    SELECT count(*) AS number,
           extract(epoch FROM max(substring(pg_get_expr(c.relpartbound, c.oid) FROM $$TO \('([^']+)'\)$$)::timestamptz)
               - clock_timestamp())::float8 AS left_s
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'samples'::regclass
""")


@dataclass(frozen=True, slots=True)
class Partitioned:
    """How many partitions `samples` has, and in how many seconds the last one ends."""

    number: int
    left_s: float | None


def totals(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Batches and rows by class in the ledger, for each of the `limit` edges with the most batches."""
    return connection.execute(TOTALS, {"limit": limit, "trial": TRIAL}).all()


def edges(connection: Connection, limit: int) -> list[str]:
    """The `limit` edges whose newest source appeared last, that one first."""
    return list(connection.scalars(EDGES, {"limit": limit, "trial": TRIAL}))


def commit_age_s(connection: Connection) -> float | None:
    """Seconds since a batch was committed last, on the database's clock; None if there never was one."""
    age_s: float | None = connection.scalar(COMMIT_AGE)
    return age_s


def quarantined(connection: Connection) -> int:
    """Rows in quarantine."""
    return int(connection.scalar(text("SELECT count(*) FROM quarantine")) or 0)


def dead_letters(connection: Connection) -> int:
    """Dead letters that wait for a person."""
    return int(connection.scalar(text("SELECT count(*) FROM dead_letters")) or 0)


def sizes(connection: Connection) -> tuple[int, dict[str, int]]:
    """Bytes of the database, and of each table by its name, indexes and partitions included."""
    whole = connection.scalar(text("SELECT pg_database_size(current_database())"))
    return int(whole or 0), {row.name: row.size_bytes for row in connection.execute(SIZES)}


def partitioned(connection: Connection) -> Partitioned:
    """The partitions of `samples`."""
    row = connection.execute(PARTITIONS).one()
    return Partitioned(row.number, row.left_s)
