"""How many samples there are of each hour, beside how many were stored: what the audit compares.

Both figures are of one statement, so of one moment: a transaction adds to both or to neither. A large partition is counted in
pieces by ranges of series, each of a moment of its own; then only the hours mean something whose tally has not moved. Sealed
days are counted by their lists of times, and with what came late for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from telemetry.store.partitions import Span, existing

# About so many samples are counted in a piece: a fraction of a second.
PIECE_SAMPLES = 2_000_000
# A row of samples takes no less room (see `totals.ESTIMATE`).
ROW_BYTES = 52
# A whole day of a large fleet is counted at once only where a piece has found a difference.
TIMEOUT_S = 1800
ORDER = text("SELECT name, counted_at FROM counted_partitions")
BOUNDS = "SELECT coalesce(min(series_id), 0), coalesce(max(series_id), 0), pg_relation_size('{table}') FROM {table}"
SEALED = text("""
    SELECT 'frozen_' || to_char(first_day, 'YYYYMMDD') AS name, first_day - '1970-01-01'::date AS first,
           end_day - '1970-01-01'::date AS end, sealed_at IS NOT NULL AS is_sealed FROM sealed_spans
""")
ROWS = """
    SELECT date_bin('1 hour', ts, TIMESTAMPTZ 'epoch') AS at, count(*) AS samples FROM {table}
    WHERE series_id >= :first AND series_id < :end GROUP BY 1
"""
ARRAYS = """
    SELECT date_bin('1 hour', ts, TIMESTAMPTZ 'epoch') AS at, sum(alike.series) AS samples
    FROM (
        SELECT day, times_id AS id, count(*) AS series FROM sealed
        WHERE day >= date '1970-01-01' + :first_hour / 24 AND day < date '1970-01-01' + :end_hour / 24 GROUP BY 1, 2
    ) AS alike JOIN sealed_times USING (day, id) CROSS JOIN LATERAL unnest(times) AS ts GROUP BY 1
"""
LATE = """
    UNION ALL SELECT date_bin('1 hour', ts, TIMESTAMPTZ 'epoch'), count(*) FROM late
    WHERE ts >= to_timestamp(3600.0 * :first_hour) AND ts < to_timestamp(3600.0 * :end_hour)
        AND series_id >= :first AND series_id < :end GROUP BY 1
"""
BY_HOUR = """
    WITH there AS (
        SELECT floor(extract(epoch FROM at) / 3600)::integer AS hour, sum(samples)::bigint AS samples
        FROM ({there}) AS binned GROUP BY 1
    ), expected AS (
        SELECT hour, sum(stored)::bigint AS stored FROM tallies WHERE hour >= :first_hour AND hour < :end_hour GROUP BY hour
    )
    SELECT hour, coalesce(stored, 0), coalesce(samples, 0) FROM there FULL JOIN expected USING (hour)
"""


class Hour(NamedTuple):
    """How many samples of an hour were stored, and how many there are."""

    stored: int
    there: int


class FrozenDays(Span):
    """Days that are being sealed: their partition has its rows, and what comes late is beside it."""


class SealedDays(Span):
    """Days that are sealed, under the name that their partition was given for it."""


class Range(NamedTuple):
    """Series [first, end), by their ids."""

    first: int
    end: int


EVERY = Range(0, 1 << 62)


class Partition(NamedTuple):
    """A partition, or sealed days, and when they were counted last. `is_tallied`: their tallies are complete."""

    span: Span
    is_tallied: bool
    counted_at: datetime | None


def partitions(connection: Connection) -> list[Partition]:
    """What can be counted now; what was not counted for the longest time comes first."""
    counted_at = {row.name: row.counted_at for row in connection.execute(ORDER)}
    partitions = existing(connection)
    # Read later, so that what is frozen just now is not counted as both.
    rows = connection.execute(SEALED).all()
    sealed = {row.name: row.is_sealed for row in rows}
    spans = [FrozenDays(*span) if span.table in sealed else span for span in partitions if not sealed.get(span.table)]
    spans += [SealedDays(row.name, row.first, row.end) for row in rows if row.is_sealed]
    parts = [Partition(span, span.table in counted_at, counted_at.get(span.table)) for span in spans]
    return sorted(parts, key=lambda one: (one.counted_at is not None, one.counted_at, -one.span.first))


def ranges(connection: Connection, span: Span) -> Sequence[Range]:
    """The ranges of series by which a partition is counted: one if it is small, or sealed."""
    if isinstance(span, SealedDays):
        return [EVERY]
    first, last, size_bytes = connection.execute(text(BOUNDS.format(table=span.table))).one()
    pieces = size_bytes // (ROW_BYTES * PIECE_SAMPLES) + 1
    if pieces == 1:
        return [EVERY]
    width = (last - first) // pieces + 1
    starts = [first + n * width for n in range(1, pieces)]
    return [Range(*pair) for pair in zip([EVERY.first, *starts], [*starts, EVERY.end], strict=True)]


def by_hour(connection: Connection, span: Span, series: Range = EVERY) -> dict[int, Hour]:
    """The hours of a partition or of sealed days: how many samples were stored, and how many are there of some series.

    Of sealed days all series are counted. This is the only place that counts samples for the audit.
    """
    # A process more for a second would be more than a percent of a core.
    connection.execute(text(f"SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL statement_timeout = '{TIMEOUT_S}s'"))
    hours = {"first_hour": 24 * span.first, "end_hour": 24 * span.end}
    match span:
        case SealedDays():
            there = ARRAYS + LATE
        case FrozenDays():
            there = ROWS.format(table=span.table) + LATE
        case _:
            there = ROWS.format(table=span.table)
    rows = connection.execute(text(BY_HOUR.format(there=there)), series._asdict() | hours)
    return {hour: Hour(stored, there) for hour, stored, there in rows}


def oldest_s(connection: Connection) -> float | None:
    """Seconds since the partition was counted that was not counted for the longest time; None while one never was."""
    ages_s = [one.counted_at for one in partitions(connection)]
    known = [at for at in ages_s if at is not None]
    if not ages_s or len(known) < len(ages_s):
        return None
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return (now - min(known)).total_seconds()
