"""Seals days that are over and quiet: their samples become arrays, and the partition that had them goes.

A partition is sealed in steps, each a transaction that can be cut off at any point. It is *frozen*: the days are entered in
`sealed_spans`, so that nobody makes a partition for them again, and the partition gets another name, so that nobody writes to
it under the one he remembers. Then its samples go into the table `sealing`, some series at a time, where no reader sees them.
At last they move to `sealed`, and the partition is dropped, in one transaction. What comes for these days from the first step
on is `telemetry.store.write.late`'s, and merged by `merging`. The lock that keeps a second sealer away is that of `chores`.
Why so: docs/decisions/0010-sealed-days.md.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from telemetry.settings import Settings
from telemetry.store import locks, sealed_rows
from telemetry.store.engine import driver
from telemetry.store.partitions import EXISTING, IS_THERE, SEALED
from telemetry.store.upkeep import ages, hours, merging, months

log = logging.getLogger(__name__)

# Samples of one step, which have some 100 bytes of memory each.
MAX_SAMPLES = 250_000
# What nothing was written to for so long is quiet.
QUIET_S = 3600.0
# Readers and collectors wait behind whoever waits for a lock that keeps them out.
LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '500ms'")
KEEP_OUT = text("LOCK TABLE ONLY samples IN ACCESS EXCLUSIVE MODE")
# The longest step is the last one of a partition, and longer the more samples that has.
STEP_S = 40
# A series is sealed in one piece, with some 150 bytes of memory a sample.
MAX_OF_SERIES = 3_000_000
# However small a piece was to be, a fleet of some ten thousand series has no more of them.
MAX_PIECES = 1000
# A partition that is larger than when it was last looked at is not quiet; nor one that was looked at by a clock that was ahead.
LOOK = text("""
    INSERT INTO partition_sizes AS before SELECT name, pg_relation_size(name::regclass), clock_timestamp()
    FROM unnest(CAST(:names AS text[])) AS p (name)
    ON CONFLICT (name) DO UPDATE SET size_bytes = excluded.size_bytes, since = excluded.since
    WHERE before.size_bytes <> excluded.size_bytes OR before.since > excluded.since
""")
QUIET = text("""
    SELECT name FROM partition_sizes
    WHERE name = ANY(:names) AND since <= clock_timestamp() - make_interval(secs => :quiet_s)
""")
FORGET = text("DELETE FROM partition_sizes WHERE NOT name = ANY(:names)")
UNFINISHED = text("SELECT first_day, end_day, frozen, bounds FROM sealed_spans WHERE sealed_at IS NULL")
# One lookup of the key for each series.
SERIES = """
    WITH RECURSIVE series (id) AS (
        (SELECT series_id FROM {table} ORDER BY series_id LIMIT 1)
        UNION ALL
        SELECT (SELECT series_id FROM {table} WHERE series_id > id ORDER BY series_id LIMIT 1) FROM series WHERE id IS NOT NULL
    )
    SELECT id FROM series WHERE id IS NOT NULL ORDER BY id
"""
# A row of a full page has 52 bytes, and pages of samples are full.
ROW_BYTES = 52
ENTER = text("INSERT INTO sealed_spans (first_day, end_day, frozen, bounds) VALUES (:first, :end, :frozen, :bounds)")
# What was known of how many samples there should be goes on under the new name.
RENAME_COUNTED = text("UPDATE counted_partitions SET name = :frozen WHERE name = :table")
FORGET_COUNTED = text("DELETE FROM counted_partitions WHERE name = :frozen")
FINISH = text("""
    UPDATE sealed_spans SET frozen = NULL, samples = :samples, sealed_at = clock_timestamp() WHERE first_day = :first
""")
EPOCH = date(1970, 1, 1)


def step(connection: Connection, settings: Settings, limit: int) -> int:
    """Do the next step, as the chore does: go on, else merge what is late, else begin with a quiet day, else fill in hours.

    Returns `limit` if there may be more to do at once, else 0.
    """
    if not settings.seal_after_days:
        return 0
    if seal_further(connection) or merging.merge(connection, limit):
        return limit
    names = _quiet(connection, today(connection) - settings.seal_after_days)
    return limit if any(freeze(connection, name, limit) for name in names) or hours.fill(connection) else 0


def step_at_once(connection: Connection, before: int, limit: int) -> int:
    """The same by hand: of all partitions whose days are before one, counted from 1970, quiet or not, however long it takes."""
    if seal_further(connection, timeout_s=0) or merging.merge(connection, limit):
        return limit
    names = ended(connection, before)
    return limit if any(freeze(connection, name, limit) for name in names) or hours.fill(connection) else 0


def is_left(connection: Connection, before: int) -> bool:
    """Whether there is a sample before a day that is not in an array."""
    begun = "SELECT EXISTS (SELECT FROM sealed_spans WHERE sealed_at IS NULL) OR EXISTS (SELECT FROM late)"
    if connection.scalar(text(begun)):
        return True
    exists = "SELECT EXISTS (SELECT FROM {})"
    return any(connection.scalar(text(exists.format(name))) for name in ended(connection, before))


def seal_further(connection: Connection, timeout_s: int = STEP_S) -> bool:
    """Seal the next series of the partition that is frozen, up to a bound, or finish it. False if none is."""
    span = connection.execute(UNFINISHED).first()
    if span is None:
        return False
    # What a step has to do was decided when the partition was frozen: less will not do.
    connection.execute(text(f"SET LOCAL statement_timeout = '{timeout_s}s'"))
    if not connection.scalar(IS_THERE, {"table": span.frozen}):
        _let_go(connection, span)
        return True
    done = int(connection.scalar(text("SELECT coalesce(max(series_id), 0) FROM sealing")) or 0)
    if connection.scalar(text(f"SELECT EXISTS (SELECT FROM {span.frozen} WHERE series_id > {done})")):  # noqa: S608 - a name
        _seal(connection, span, done)
    else:
        _finish(connection, span)
    return True


def freeze(connection: Connection, table: str, limit: int) -> bool:
    """Freeze a partition that can be sealed, so that it is sealed next. False if it is empty, or too large for one series."""
    ids = connection.scalars(text(SERIES.format(table=table))).all()
    if not ids:
        return False
    size_bytes = connection.scalar(text("SELECT pg_relation_size(CAST(:table AS regclass))"), {"table": table}) or 0
    if size_bytes > len(ids) * MAX_OF_SERIES * ROW_BYTES:
        return False
    connection.execute(LOCK_TIMEOUT)
    # Nobody makes a partition for these days meanwhile.
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": locks.PARTITION})
    days = candidates(connection).get(table)
    if days is None:
        return False
    first, end = (EPOCH + timedelta(days=day) for day in days)
    for month in months.between(first, end):
        months.add(connection, month)
    a_piece = max(1, limit * len(ids) * ROW_BYTES // (size_bytes + 1), len(ids) // MAX_PIECES)
    frozen = f"frozen_{first:%Y%m%d}"
    connection.execute(text(f"ALTER TABLE {table} RENAME TO {frozen}"))
    connection.execute(RENAME_COUNTED, {"table": table, "frozen": frozen})
    connection.execute(ENTER, {"first": first, "end": end, "frozen": frozen, "bounds": list(ids[a_piece - 1 :: a_piece])})
    return True


def candidates(connection: Connection) -> dict[str, tuple[int, int]]:
    """The partitions that can be sealed, in order of time, with their days [first, end) counted from 1970."""
    spans = [(row[0], row[1]) for row in connection.execute(SEALED)]
    partitions = sorted((first, end, name) for name, first, end in connection.execute(EXISTING))
    return {
        name: (first, end)
        for first, end, name in partitions
        if not any(first < other_end and other_first < end for other_first, other_end in spans)
    }


def ended(connection: Connection, before: int) -> list[str]:
    """The partitions that can be sealed and whose days are all before one, counted from 1970."""
    return [name for name, (_, end) in candidates(connection).items() if end <= before]


def _quiet(connection: Connection, before: int) -> list[str]:
    """Of these the ones that nothing was written to for some time."""
    names = ended(connection, before)
    connection.execute(LOOK, {"names": names})
    connection.execute(FORGET, {"names": names})
    quiet = set(connection.scalars(QUIET, {"names": names, "quiet_s": QUIET_S}))
    return [name for name in names if name in quiet]


def today(connection: Connection) -> int:
    """The day, counted from 1970."""
    return (ages.now(connection).date() - EPOCH).days


def _seal(connection: Connection, span: Row[Any], done: int) -> None:
    """Seal the samples of the series behind `done`, up to the next bound."""
    bound = next((bound for bound in span.bounds if bound > done), None)
    upto = "" if bound is None else f" AND series_id <= {bound}"
    query = f"SELECT series_id, ts, value FROM {span.frozen} WHERE series_id > {done}{upto}"  # noqa: S608 - a name, numbers
    psycopg = driver(connection)
    sealed_rows.write(psycopg, sealed_rows.encode(sealed_rows.copied(psycopg, query)), "sealing")


def _finish(connection: Connection, span: Row[Any]) -> None:
    """Put the arrays in the place of the partition, if they have as many samples; else begin with it again."""
    connection.execute(LOCK_TIMEOUT)
    # Where a reader keeps its lock, the work of this step would be for nothing.
    savepoint = connection.begin_nested()
    connection.execute(KEEP_OUT)
    savepoint.rollback()
    samples = connection.scalar(text("SELECT sum(n) FROM sealing"))
    held = connection.scalar(text(f"SELECT count(*) FROM {span.frozen}"))  # noqa: S608 - a name
    if samples != held:
        log.warning("%s was changed while it was sealed: it has %s samples, and %s are sealed", span.frozen, held, samples)
        connection.execute(text("TRUNCATE sealing"))
        return
    connection.execute(text("INSERT INTO sealed SELECT * FROM sealing ORDER BY series_id, day"))
    for month in months.between(span.first_day, span.end_day):
        connection.execute(text(f"ANALYZE sealed_times_{month:%Y%m}, sealed_{month:%Y%m}"))
    connection.execute(FINISH, {"first": span.first_day, "samples": samples})
    connection.execute(KEEP_OUT)
    connection.execute(text(f"DROP TABLE {span.frozen}"))
    connection.execute(text("TRUNCATE sealing"))


def _let_go(connection: Connection, span: Row[Any]) -> None:
    """End a span whose partition somebody dropped. What its days have now is counted anew, so that nothing is missed."""
    connection.execute(text("TRUNCATE sealing"))
    connection.execute(FINISH, {"first": span.first_day, "samples": 0})
    connection.execute(FORGET_COUNTED, {"frozen": span.frozen})
