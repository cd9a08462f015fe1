"""Partitions of `samples`, made before the rows that need them: one a day (UTC), and coarser ones for times long past.

A query over all of time locks every partition. Days that are long past when the first sample of them comes share a partition of
their month or year: a file with odd times would make thousands otherwise. A partition that is there is used as it is.

A partition is created, then attached. Attaching takes a SHARE UPDATE EXCLUSIVE lock on `samples`; CREATE … PARTITION OF takes
ACCESS EXCLUSIVE, and would wait for and block every query (PostgreSQL manual, ALTER TABLE, ATTACH PARTITION).

Days that are sealed have no partition again: what comes late for them goes into the table `late`, which stands here as one of
the partitions. A sealed day stays sealed, so that what a process remembers of it holds.

A table that was detached is no partition: nobody reads it. It is attached again when a reading of its time comes. That what a
process remembers still holds is checked by whoever writes, with ATTACHED in the transaction that writes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from telemetry.store import floor, locks
from telemetry.store.floor import BelowFloorError

# Partitions made in one transaction, which takes about half a second. They stay, whatever happens to later ones.
SLICE = 50
DAY_US = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Months that ended so many days ago, and years, are not divided into days when they are new.
WHOLE_MONTHS_AFTER = 60
WHOLE_YEARS_AFTER = 730
TODAY = text("SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::int FROM pg_advisory_xact_lock(:key)")
# The bounds are in the text of a partition's bound only: Postgres has no function that gives them. That text is NULL once the
# partition is dropped, which may be between two looks at it: OFFSET 0 has Postgres look once.
EXISTING = text(r"""
    SELECT c.oid::regclass::text AS name, floor(extract(epoch FROM begins::timestamptz) / 86400)::int AS first_day,
           ceil(extract(epoch FROM ends::timestamptz) / 86400)::int AS end_day
    FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
    CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) OFFSET 0) AS of_partition (bound)
    CROSS JOIN LATERAL (SELECT substring(bound FROM $$FROM \('([^']+)'\)$$), substring(bound FROM $$TO \('([^']+)'\)$$))
        AS bounds (begins, ends)
    WHERE inhparent = 'samples'::regclass AND NOT inhdetachpending AND begins IS NOT NULL AND ends IS NOT NULL
""")
# How many of some tables are partitions, for the caller's statement. Its lock on `samples` comes before its snapshot and stays
# until the transaction's end, and detaching or dropping a partition waits for it: so they stay partitions for as long.
ATTACHED = """
    SELECT count(*) AS number
    FROM pg_inherits JOIN unnest(CAST(:tables AS text[])) AS t (name) ON inhrelid = to_regclass(t.name)
    WHERE inhparent = 'samples'::regclass AND NOT inhdetachpending AND NOT EXISTS (SELECT FROM ONLY samples)
"""
# Samples of days that are sealed, or being sealed, go into a table of their own, whatever partitions there are.
LATE = "late"
SEALED = text("SELECT first_day - '1970-01-01'::date, end_day - '1970-01-01'::date FROM sealed_spans ORDER BY first_day")
IS_THERE = text("SELECT to_regclass(:table) IS NOT NULL")
# What a new partition holds is in its tallies from the beginning; what one holds that was detached is not known.
BEGIN_TALLIES = text("""
    WITH former AS (DELETE FROM tallies WHERE hour >= 24 * :first AND hour < 24 * :end)
    INSERT INTO counted_partitions (name) VALUES (:table)
    ON CONFLICT (name) DO UPDATE SET counted_at = NULL, samples = 0
""")
COUNT_ANEW = text("DELETE FROM counted_partitions WHERE name = :table")
# SQLSTATEs of a refusal that another try does not mend (PostgreSQL manual, appendix A): the table's rows, its columns or its
# owner are not as they must be, or to look at its rows takes longer than a statement may.
LASTING = ("0A", "22", "23", "42", "57014")


class PartitionError(SQLAlchemyError):
    """The database refuses a partition, and will do so until somebody mends it."""


class Span(NamedTuple):
    """A partition, or a sealed span: its table, and the days [first, end) that it holds, counted from 1970-01-01."""

    table: str
    first: int
    end: int


def span_for(day: int, today: int, existing: Sequence[Span]) -> Span:
    """The partition that holds a day, or the one to make for it: the widest that fits beside those that there are.

    Raises OverflowError for a day that the calendar does not reach.
    """
    for span in existing:
        if span.first <= day < span.end:
            return span
    *coarser, of_day = _units(day)
    for span, ended_for in zip(coarser, (WHOLE_YEARS_AFTER, WHOLE_MONTHS_AFTER), strict=True):
        if span.end <= today - ended_for and not any(other.first < span.end and span.first < other.end for other in existing):
            return span
    return of_day


class Partitions:
    """The partitions that this process knows to exist, by day."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tables: dict[int, str] = {}

    def forget(self) -> None:
        """Ask again at the next use: a renewed connection may lead to another database."""
        self._tables.clear()

    def ensure(self, days: Iterable[int]) -> dict[int, str]:
        """The tables that hold the samples of these days. Those that do not exist are made, in transactions of their own.

        Raises PartitionError if the database refuses one for good, BelowFloorError for days that are not kept any more, and
        database errors.
        """
        days = sorted(set(days))
        while missing := [day for day in days if day not in self._tables]:
            with self._engine.begin() as connection:
                tables = dict(_make(connection, missing))
            self._tables |= tables
        return {day: self._tables[day] for day in days}


def existing(connection: Connection) -> list[Span]:
    """The partitions that there are."""
    return [Span(*row) for row in connection.execute(EXISTING)]


def _make(connection: Connection, days: Iterable[int]) -> Iterator[tuple[int, str]]:
    """The tables of some days, as far as they exist or can be made in one transaction."""
    # By a clock that is ahead, days of now would be long past, and share a partition.
    today = min(connection.scalar(TODAY, {"key": locks.PARTITION}) or 0, int(time.time() // 86_400))
    days = list(days)
    if (min(days) + 1) * DAY_US <= floor.ask(connection):
        raise BelowFloorError("the floor of retention is above readings that were to be stored")
    spans = [*(Span(LATE, *row) for row in connection.execute(SEALED)), *existing(connection)]
    made = 0
    for day in days:
        if made == SLICE:
            return
        span = span_for(day, today, spans)
        if span not in spans:
            _add(connection, span)
            spans.append(span)
            made += 1
        yield day, span.table


def _add(connection: Connection, span: Span) -> None:
    """Make a partition, of the table of its name if there is one."""
    is_there = connection.scalar(IS_THERE, {"table": span.table})
    first, end = ((EPOCH + timedelta(days=day)).isoformat() for day in (span.first, span.end))
    try:
        if not is_there:
            connection.execute(text(f"CREATE TABLE {span.table} (LIKE samples INCLUDING ALL)"))
        connection.execute(text(f"ALTER TABLE samples ATTACH PARTITION {span.table} FOR VALUES FROM ('{first}') TO ('{end}')"))
        connection.execute(COUNT_ANEW if is_there else BEGIN_TALLIES, span._asdict())
    except DBAPIError as error:
        if not str(getattr(error.orig, "sqlstate", None)).startswith(LASTING):
            raise
        reason = str(error.orig).partition("\n")[0]
        mend = f"attach, rename or drop the table {span.table}, which is no partition of samples: " if is_there else ""
        raise PartitionError(f"no partition for readings of [{first}, {end}): {mend}{reason}") from error


def _units(day: int) -> tuple[Span, Span, Span]:
    """The year, the month and the day that hold a day."""
    at = (EPOCH + timedelta(days=day)).date()
    month, following = at.replace(day=1), at.replace(day=28) + timedelta(days=4)
    return (
        _span(f"samples_{at:%Y}", date(at.year, 1, 1), date(at.year + 1, 1, 1)),
        _span(f"samples_{at:%Y%m}", month, following.replace(day=1)),
        Span(f"samples_{at:%Y%m%d}", day, day + 1),
    )


def _span(table: str, first: date, end: date) -> Span:
    return Span(table, *((at - EPOCH.date()).days for at in (first, end)))
