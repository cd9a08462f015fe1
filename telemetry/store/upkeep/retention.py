"""Retention of samples: drops the oldest partitions and months, never a row, and lets the floor rise with them.

A step is a transaction: it drops the least that can be dropped at once, and moves the floor (`telemetry.store.floor`) to its
end. So nothing is stored below the floor, and nothing above it was dropped, at any moment. What the audit expected of it goes
in the same transaction, and what came late for it. Summaries of usage, allocations and what was found of GPUs stay. Which days
go next is decided in `units`; a day whose usage is not summed up yet waits, and where that is asked for, one that is not
archived (`archived`). No sealer works meanwhile. What is old is said by `ages`: the chore counts from the newest reading too,
so that it keeps what a fleet that fell silent has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import NamedTuple

from sqlalchemy import Connection, text

from telemetry.settings import Settings
from telemetry.store import locks
from telemetry.store.upkeep import ages, archived, merging, usage_hours
from telemetry.store.upkeep.units import Unit, below, date_of, day_of, next_floor, reach, units

# Readers and collectors wait behind whoever waits for a lock that keeps them out.
LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '500ms'")
# Large partitions have many files to delete.
STATEMENT_TIMEOUT = text("SET LOCAL statement_timeout = '40s'")
TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
LOCK = text("SELECT pg_advisory_xact_lock(:key)")
KEEP_OUT = text("LOCK TABLE ONLY samples, late IN ACCESS EXCLUSIVE MODE")
FLOOR = text("SELECT kept_since FROM retention WHERE level = 'samples'")
# Their hours are summed up from samples.
UNSUMMED = text("SELECT min(hour) FROM usage_marks")
HAS_COME = text("SELECT EXISTS (SELECT FROM usage_marks WHERE hour < :moment)")
LATE = text("SELECT count(*) FROM (SELECT FROM late LIMIT :limit) AS l")
IS_BEING_SEALED = text("SELECT EXISTS (SELECT FROM sealed_spans WHERE sealed_at IS NULL)")
FROZEN = text("SELECT frozen FROM sealed_spans WHERE sealed_at IS NULL AND end_day <= :day")
# By what was stored of them; to count them would take too long while all others wait.
SAMPLES = text("SELECT greatest(0, coalesce(sum(stored), 0))::bigint FROM tallies WHERE hour >= :first AND hour < :end")
FIRST_HOUR = -(1 << 31)
SIZE = text("""
    SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint
    FROM unnest(CAST(:names AS text[])) AS t (name)
""")
FORGET = (
    text("DELETE FROM late WHERE ts < :moment"),
    text("DELETE FROM tallies WHERE hour < :hour"),
    text("""
        DELETE FROM counted_partitions WHERE name = ANY(:tables)
            OR name IN (SELECT 'frozen_' || to_char(first_day, 'YYYYMMDD') FROM sealed_spans WHERE end_day <= :day)
    """),
    text("DELETE FROM partition_sizes WHERE name = ANY(:tables)"),
    text("DELETE FROM archived_days WHERE day < :day"),
    text("DELETE FROM sealed_spans WHERE end_day <= :day"),
    text("""
        UPDATE sealed_spans s
        SET samples = (SELECT coalesce(sum(n), 0) FROM sealed WHERE day >= s.first_day AND day < s.end_day)
        WHERE first_day < :day
    """),
    # What is gone below the floor cannot come back.
    text("DELETE FROM rereads WHERE EXISTS (SELECT FROM shortfalls WHERE settled_at IS NULL AND end_hour <= :hour)"),
    text("UPDATE shortfalls SET settled_at = clock_timestamp() WHERE settled_at IS NULL AND end_hour <= :hour"),
)
RISE = text("""
    UPDATE retention SET kept_since = greatest(kept_since, :moment), dropped = dropped + :samples,
        partitions = partitions + :partitions WHERE level = 'samples'
""")
# Where it was off until now, it counts as done at its beginning.
LOOK = text("""
    UPDATE retention SET days = :days, done_at = CASE WHEN days IS NULL THEN clock_timestamp() ELSE done_at END
    WHERE level = 'samples'
""")
DONE = text("UPDATE retention SET done_at = clock_timestamp() WHERE level = 'samples'")
# Of several processes one may be set otherwise: it is off when none has looked for a day.
OFF = text("""
    UPDATE retention SET days = NULL
    WHERE level = 'samples' AND days IS NOT NULL AND done_at < clock_timestamp() - interval '1 day'
""")
LOWER = text("UPDATE retention SET kept_since = :moment WHERE level = 'samples' AND kept_since > :moment RETURNING level")
# A batch that the ledger has is not stored again. So the ledger forgets those that had expired readings, and their edges read
# them again, as after a restore.
GIVE_UP = text("""
    WITH gone AS (
        DELETE FROM batches WHERE expired > 0 AND status = 'stored' AND anchor IS NULL RETURNING source_id
    ), folded AS (
        DELETE FROM ledger_ranges WHERE expired > 0 AND anchor IS NULL RETURNING source_id
    )
    SELECT count(*) FROM (SELECT source_id FROM gone UNION SELECT source_id FROM folded) AS sources
""")


class Part(NamedTuple):
    """A unit that is to be dropped: how many samples it has, and how large it is with its indexes."""

    unit: Unit
    samples: int
    size_bytes: int


class Plan(NamedTuple):
    """What would be dropped. The floors, of now and of then, are days counted from 1970; None for none.

    `waits_for_usage`: later days are old enough, too, and wait until their usage is summed up. `not_archived`: from this day on
    they wait until they are archived.
    """

    floor: int | None
    floor_then: int
    parts: list[Part]
    waits_for_usage: bool
    not_archived: int | None = None


def step(connection: Connection, settings: Settings, limit: int) -> int:
    """Drop the next days that are older than the settings keep, as the chore does. Returns `limit` if more may follow."""
    if not settings.retention_days:
        connection.execute(OFF)
        return 0
    # While days are sealed, the lock is free for moments only: it is tried after each group, not every few minutes.
    if not connection.scalar(TRY_LOCK, {"key": locks.SEALING}):
        return limit
    connection.execute(LOOK, {"days": settings.retention_days})
    newest = ages.newest_day(connection)
    if newest is None:
        connection.execute(DONE)
        return 0
    return step_at_once(connection, settings.retention_days, limit, newest, archived_only=settings.retention_archived)


def step_at_once(
    connection: Connection, days: int, limit: int, newest: int | None = None, *, archived_only: bool = False
) -> int:
    """The same for a number of days, which are counted from the day `newest` if today is later.

    Returns 0 also while another process seals, or drops by hand.
    """
    connection.execute(LOCK_TIMEOUT)
    connection.execute(STATEMENT_TIMEOUT)
    # Nobody seals, merges, or makes a partition meanwhile.
    if not connection.scalar(TRY_LOCK, {"key": locks.SEALING}):
        return 0
    oldest = _oldest(connection, days, newest)
    _sum_up_first(connection, oldest)
    connection.execute(LOCK, {"key": locks.PARTITION})
    parts, before, possible = units(connection), floor_day(connection), _possible(connection, oldest)
    # Before it is looked what is archived: what comes after that is seen by it.
    seen = (oldest, archived.late(connection, oldest)) if archived_only else None
    if archived_only and (missing := archived.first_missing(connection, parts, oldest)) is not None:
        possible = min(possible, missing)
    floor = next_floor(parts, possible) if before is None else max(before, next_floor(parts, possible))
    gone = below(parts, floor)
    if floor == before and not gone:
        if possible == oldest:
            connection.execute(DONE)
        return 0
    if _merge_first(connection, limit):
        return limit
    samples = _drop(connection, gone, floor, seen)
    if samples is None:
        return 0
    connection.execute(RISE, {"moment": _begin(floor), "samples": samples, "partitions": len(gone)})
    return limit


def plan(connection: Connection, days: int, *, archived_only: bool = False) -> Plan:
    """What would be dropped by now if so many days were kept. It only looks."""
    parts, before, oldest = units(connection), floor_day(connection), _oldest(connection, days)
    possible = _possible(connection, oldest)
    waits_for_usage = possible < oldest
    missing = archived.first_missing(connection, parts, oldest) if archived_only else None
    possible = possible if missing is None else min(possible, missing)
    floor = reach(parts, possible) if before is None else max(before, reach(parts, possible))
    dropped = [Part(unit, _samples(connection, unit), _size_bytes(connection, unit)) for unit in below(parts, floor)]
    return Plan(before, floor, dropped, waits_for_usage=waits_for_usage, not_archived=missing)


def lower(connection: Connection, day: int) -> int | None:
    """Let the floor fall to a day: readings from then on are stored again, also of batches that were expired.

    Returns of how many sources the ledger has forgotten some for it; None if the floor is not above that day.
    """
    # A step that has chosen what goes would let it rise again.
    connection.execute(LOCK, {"key": locks.SEALING})
    connection.execute(KEEP_OUT)
    if connection.execute(LOWER, {"moment": _begin(day)}).first() is None:
        return None
    return int(connection.execute(GIVE_UP).scalar_one())


def floor_day(connection: Connection) -> int | None:
    """The floor as a day counted from 1970; None if there is none."""
    return day_of(connection.scalar(FLOOR))


def _oldest(connection: Connection, days: int, newest: int | None = None) -> int:
    """The day from which on samples are kept by their age."""
    today = day_of(ages.now(connection)) or 0
    return (today if newest is None else min(today, newest)) - days


def _possible(connection: Connection, oldest: int) -> int:
    """The same, or the first day whose usage is not summed up yet."""
    unsummed = day_of(connection.scalar(UNSUMMED))
    return oldest if unsummed is None else min(oldest, unsummed)


def _sum_up_first(connection: Connection, oldest: int) -> None:
    """Sum up some of the usage of days that may go: where readings come for them all the time, they would stay for ever."""
    if _possible(connection, oldest) < oldest and connection.scalar(TRY_LOCK, {"key": locks.USAGE}):
        usage_hours.sum_oldest(connection)


def _merge_first(connection: Connection, limit: int) -> bool:
    """Merge some of what came late, if it is too much to be dropped row by row. False if nothing was done."""
    if connection.scalar(LATE, {"limit": merging.MAX_LATE + 1}) <= merging.MAX_LATE or connection.scalar(IS_BEING_SEALED):
        return False
    return merging.merge(connection, limit) > 0


def _drop(connection: Connection, gone: Sequence[Unit], floor: int, seen: tuple[int, int] | None) -> int | None:
    """Drop units, and all that is known of days below the floor. Returns how many samples were dropped.

    None, and nothing is dropped, if readings of these days have come since they were chosen. `seen`: a day, and how many late
    samples of before there were, where only what is archived may go.
    """
    connection.execute(KEEP_OUT)
    if connection.scalar(HAS_COME, {"moment": _begin(floor)}):
        return None
    if seen is not None and not archived.still_holds(connection, gone, *seen):
        return None
    tables = [table for unit in gone for table in unit.tables]
    samples = int(connection.execute(SAMPLES, {"first": FIRST_HOUR, "end": 24 * floor}).scalar_one())
    if connection.scalar(FROZEN, {"day": date_of(floor)}):
        connection.execute(text("TRUNCATE sealing"))
    if tables:
        connection.execute(text(f"DROP TABLE IF EXISTS {', '.join(tables)}"))
    given = {"moment": _begin(floor), "day": date_of(floor), "hour": 24 * floor, "tables": tables}
    for statement in FORGET:
        connection.execute(statement, {name: given[name] for name in statement.compile().params})
    return samples


def _samples(connection: Connection, unit: Unit) -> int:
    if unit.level == "sealed":
        return int(connection.scalar(text(f"SELECT coalesce(sum(n), 0)::bigint FROM {unit.tables[0]}")) or 0)  # noqa: S608
    return int(connection.execute(SAMPLES, {"first": 24 * unit.first, "end": 24 * unit.end}).scalar_one())


def _size_bytes(connection: Connection, unit: Unit) -> int:
    return int(connection.execute(SIZE, {"names": list(unit.tables)}).scalar_one())


def _begin(day: int) -> datetime:
    return datetime.combine(date_of(day), time(), UTC)
