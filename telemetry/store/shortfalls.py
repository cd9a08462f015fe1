"""What the audit writes down: partitions it has counted, samples it found gone, and which sources are read again for them.

All run inside the caller's transaction. Of samples that are gone the database knows the hour and the number, and no more. So
ledger rows that may have brought them are given up, and their files read again: whatever such a range stores as new was gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from telemetry.store import locks
from telemetry.store.partitions import Span

# A reading may be so much ahead of the clock that it was committed by; nobody allows more.
AHEAD_S = 86_400
LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
COUNTED = text("""
    INSERT INTO counted_partitions (name, counted_at, samples) VALUES (:name, clock_timestamp(), :samples)
    ON CONFLICT (name) DO UPDATE SET counted_at = excluded.counted_at, samples = excluded.samples
""")
SHIFT = text("INSERT INTO tallies SELECT * FROM unnest(CAST(:hours AS integer[]), CAST(:samples AS bigint[]))")
PENDING = """
    SELECT coalesce(sum(b.stored), 0)::bigint FROM rereads r
    JOIN sources s ON (s.edge, s.fingerprint) = (r.edge, r.fingerprint)
    JOIN batches b ON b.source_id = s.id AND b.anchor IS NULL AND b.committed_at >= r.asked_at
        AND b.start_offset >= r.start_offset AND b.end_offset <= r.end_offset
"""
OPEN = text(f"""
    SELECT id, first_hour, end_hour, missing, restored + ({PENDING}) AS restored, found_at
    FROM shortfalls WHERE settled_at IS NULL ORDER BY id LIMIT 1
""")  # noqa: S608 - the text of above
ADD = text("""
    INSERT INTO shortfalls (first_hour, end_hour, missing) VALUES (:first, :end, :missing)
""")
WIDEN = text("""
    UPDATE shortfalls SET first_hour = least(first_hour, :first), end_hour = greatest(end_hour, :end),
        missing = missing + :missing, restored = :restored, found_at = clock_timestamp() WHERE id = :id
""")
SETTLE = text("UPDATE shortfalls SET restored = :restored, settled_at = clock_timestamp() WHERE id = :id")
REREADS = text("SELECT edge, fingerprint, start_offset, end_offset, asked_at FROM rereads WHERE NOT is_due")
# What is committed before counts as restored by then, and what is committed later by what is asked anew: nothing is in between.
STAND_STILL = text("LOCK TABLE batches IN SHARE ROW EXCLUSIVE MODE")
ANEW = text("UPDATE rereads SET is_due = true, asked_at = clock_timestamp()")
FORGET = text("DELETE FROM rereads")
# No reading of an hour was committed long before it, nor what was gone after it was found to be.
CANDIDATES = text("""
    SELECT edge, fingerprint, min(start_offset), max(end_offset), min(committed_at)
    FROM (
        SELECT s.edge, s.fingerprint, l.start_offset, l.end_offset, l.committed_at
        FROM ledger l JOIN sources s ON s.id = l.source_id
        WHERE l.status = 'stored' AND l.anchor IS NULL AND l.stored + l.duplicate > 0
            AND l.last_committed_at >= to_timestamp(3600.0 * :hour) - make_interval(secs => :ahead_s)
            AND l.committed_at < :found_at
        UNION ALL SELECT edge, fingerprint, start_offset, end_offset, asked_at FROM rereads WHERE is_due
    ) AS stretches
    WHERE (edge, fingerprint) NOT IN (SELECT edge, fingerprint FROM rereads WHERE NOT is_due)
    GROUP BY edge, fingerprint ORDER BY min(committed_at)
""")
REPLAYS = text("""
    SELECT EXISTS (SELECT FROM ledger WHERE anchor IS NOT NULL AND stored > 0
        AND last_committed_at >= to_timestamp(3600.0 * :hour) - make_interval(secs => :ahead_s))
""")
GIVE_UP = """
    DELETE FROM {table} l USING sources s
    WHERE s.id = l.source_id AND (s.edge, s.fingerprint) = (:edge, :fingerprint) AND l.anchor IS NULL
        AND l.start_offset >= :start AND l.end_offset <= :end {stored}
"""
ASK = text("""
    INSERT INTO rereads (edge, fingerprint, start_offset, end_offset) VALUES (:edge, :fingerprint, :start, :end)
    ON CONFLICT (edge, fingerprint) DO UPDATE SET start_offset = excluded.start_offset, end_offset = excluded.end_offset,
        is_due = false
""")


class Open(NamedTuple):
    """The shortfall that is not settled: its hours, how many samples are gone, how many of them have come back."""

    id: int
    first_hour: int
    end_hour: int
    missing: int
    restored: int
    found_at: datetime


class Stretch(NamedTuple):
    """Bytes [start, end) of the files of one fingerprint, and since when: committed first, or read again."""

    edge: str
    fingerprint: str
    start: int
    end: int
    since: datetime


def locked(connection: Connection) -> bool:
    """Take the audit's lock until the transaction ends. False if another process has it."""
    return bool(connection.scalar(LOCK, {"key": locks.AUDIT}))


def counted(connection: Connection, span: Span, samples: int) -> None:
    """Note that a partition was counted, and that its tallies are complete."""
    connection.execute(COUNTED, {"name": span.table, "samples": samples})


def expect(connection: Connection, more: Mapping[int, int]) -> None:
    """Expect so many samples more of some hours; a negative number is less."""
    connection.execute(SHIFT, {"hours": list(more), "samples": list(more.values())})


def record(connection: Connection, missing: Mapping[int, int]) -> None:
    """Write down that samples of some hours are gone, and expect them no more. All that is asked for is asked anew."""
    expect(connection, {hour: -number for hour, number in missing.items()})
    shortfall = {"first": min(missing), "end": max(missing) + 1, "missing": sum(missing.values())}
    connection.execute(STAND_STILL)
    if former := unsettled(connection):
        connection.execute(WIDEN, shortfall | {"id": former.id, "restored": former.restored})
        connection.execute(ANEW)
    else:
        connection.execute(ADD, shortfall)


def unsettled(connection: Connection) -> Open | None:
    """The shortfall that is not settled, if there is one."""
    row = connection.execute(OPEN).one_or_none()
    return Open(*row) if row else None


def settle(connection: Connection, shortfall: Open) -> None:
    """Nothing more is to come of a shortfall: all came back, or the loss is accepted."""
    connection.execute(SETTLE, {"id": shortfall.id, "restored": shortfall.restored})
    connection.execute(FORGET)


def rereads(connection: Connection) -> Sequence[Stretch]:
    """What is being read again."""
    return [Stretch(*row) for row in connection.execute(REREADS)]


def candidates(connection: Connection, shortfall: Open) -> Sequence[Stretch]:
    """The stretches that may have brought what is gone and are not read again yet; those committed first come first."""
    given = {"hour": shortfall.first_hour, "ahead_s": AHEAD_S, "found_at": shortfall.found_at}
    return [Stretch(*row) for row in connection.execute(CANDIDATES, given)]


def has_replays(connection: Connection, shortfall: Open) -> bool:
    """Whether replays may have brought what is gone: they are not read again."""
    return bool(connection.scalar(REPLAYS, {"hour": shortfall.first_hour, "ahead_s": AHEAD_S}))


def give_up(connection: Connection, stretch: Stretch) -> None:
    """Forget in the ledger that a stretch was stored, as it is to be read again. Dead batches stay."""
    names = stretch._asdict()
    connection.execute(text(GIVE_UP.format(table="batches", stored="AND l.status = 'stored'")), names)
    connection.execute(text(GIVE_UP.format(table="ledger_ranges", stored="")), names)
    connection.execute(ASK, names)
