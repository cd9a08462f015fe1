"""Keeps the tallies few: adds up the rows of one hour. The lock and the time limit are those of `chores`."""

from __future__ import annotations

from sqlalchemy import Connection, text

from telemetry.settings import Settings

MAX_ROWS = 50_000
FOLD = text("""
    WITH several AS (SELECT hour FROM tallies GROUP BY hour HAVING count(*) > 1),
    gone AS (
        DELETE FROM tallies WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM tallies t JOIN several USING (hour) LIMIT :limit))
        RETURNING hour, stored
    ), folded AS (INSERT INTO tallies SELECT hour, sum(stored) FROM gone GROUP BY hour)
    SELECT count(*) FROM gone
""")


def fold(connection: Connection, _settings: Settings, limit: int) -> int:
    """Add up the rows of hours that have several, at most `limit` rows, in the caller's transaction. Returns how many."""
    return int(connection.scalar(FOLD, {"limit": limit}) or 0)
