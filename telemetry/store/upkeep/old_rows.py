"""Retention of what is no sample: rows in quarantine, readings in conflict, what was found of the health of GPUs.

It leaves row by row, the oldest first, some at a time: these tables are small beside the samples, and each is asked for by
other columns than its time. The lock and the time limit are those of `chores`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from telemetry.settings import Settings
from telemetry.store.upkeep import ages

MAX_ROWS = 5000
# Ids ascend with the time: so nothing is read but what may go.
OLDEST = """
    DELETE FROM {table} WHERE id IN (
        SELECT id FROM (SELECT id, {at} AS at FROM {table} ORDER BY id LIMIT :limit) AS oldest
        WHERE at < :before
    ) RETURNING 1
"""
ENDED = text("""
    DELETE FROM findings WHERE id IN (
        SELECT id FROM findings WHERE ended_at < :before ORDER BY ended_at LIMIT :limit
    ) RETURNING 1
""")
NOTE = text("""
    UPDATE retention SET days = :days, dropped = dropped + :rows,
        kept_since = CASE WHEN :is_done THEN greatest(kept_since, :before) ELSE kept_since END,
        done_at = CASE WHEN :is_done THEN clock_timestamp() ELSE done_at END
    WHERE level = :level
""")
# As in `retention`.
OFF = text("""
    UPDATE retention SET days = NULL
    WHERE level = :level AND days IS NOT NULL AND done_at < clock_timestamp() - interval '1 day'
""")


class Level(NamedTuple):
    """Rows that are kept for one time: the setting that has it, and the statements that drop some."""

    name: str
    setting: str
    statements: tuple[TextClause, ...]


LEVELS = (
    Level(
        "quarantine",
        "retention_quarantine_days",
        tuple(
            text(OLDEST.format(table=table, at=at))
            for table, at in (("quarantine", "quarantined_at"), ("conflicts", "kept_at"))
        ),
    ),
    Level("events", "retention_events_days", (ENDED,)),
)


def drop(connection: Connection, settings: Settings, limit: int) -> int:
    """Drop rows that are older than the settings keep, at most `limit` by each statement, in the caller's transaction.

    Returns the most that one of them has dropped.
    """
    now = ages.now(connection)
    return max(_drop(connection, level, getattr(settings, level.setting), limit, now) for level in LEVELS)


def _drop(connection: Connection, level: Level, days: int, limit: int, now: datetime) -> int:
    if not days:
        connection.execute(OFF, {"level": level.name})
        return 0
    before = now - timedelta(days=days)
    rows = [len(connection.execute(one, {"before": before, "limit": limit}).all()) for one in level.statements]
    note = {"level": level.name, "days": days, "rows": sum(rows), "before": before, "is_done": max(rows) < limit}
    connection.execute(NOTE, note)
    return max(rows)
