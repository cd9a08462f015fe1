"""Keeps the ledger small: folds batches that will not come again under their ids into ranges of their source.

A range keeps the bytes and the rows by class, and loses the ids. Dead batches stay as they are. Why:
docs/decisions/0006-folding-the-ledger.md. The lock and the time limit are those of `chores`.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from telemetry.settings import Settings

# Beyond the longest life of an acknowledgement and of a message that a collector holds.
MARGIN_S = 3600
MAX_BATCHES = 20_000

FOLD = text("""
    WITH old AS (
        SELECT edge, batch_id FROM batches
        WHERE status = 'stored' AND committed_at < clock_timestamp() - make_interval(secs => :older_than_s)
        ORDER BY committed_at LIMIT :limit
    ), gone AS (
        DELETE FROM batches b USING old WHERE (b.edge, b.batch_id) = (old.edge, old.batch_id) RETURNING b.*
    ), before AS (
        DELETE FROM ledger_ranges WHERE source_id IN (SELECT source_id FROM gone) RETURNING *
    ), pieces AS (
        SELECT source_id, anchor, start_offset, end_offset, first_line, start_offset AS last_start, first_line AS last_line,
               1 AS batches, coalesce(records, rows) AS records, rows, stored, duplicate, conflict, blank, quarantined,
               expired, committed_at, committed_at AS last_committed_at
        FROM gone
        UNION ALL
        SELECT source_id, anchor, start_offset, end_offset, first_line, last_start, last_line,
               batches, coalesce(records, rows), rows, stored, duplicate, conflict, blank, quarantined,
               expired, committed_at, last_committed_at
        FROM before
    ), passes AS (
        SELECT p.*, CASE WHEN anchor < max(anchor) OVER (PARTITION BY source_id) THEN -1 ELSE anchor END AS pass FROM pieces p
    ), parted AS (
        SELECT p.*, start_offset > max(end_offset) OVER (
            PARTITION BY source_id, pass ORDER BY start_offset, end_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS parted FROM passes p
    ), islands AS (
        SELECT p.*, count(*) FILTER (WHERE parted) OVER (
            PARTITION BY source_id, pass ORDER BY start_offset, end_offset ROWS UNBOUNDED PRECEDING
        ) AS island FROM parted p
    ), folded AS (
        INSERT INTO ledger_ranges (source_id, anchor, start_offset, end_offset, first_line, last_start, last_line,
                                   batches, records, rows, stored, duplicate, conflict, blank, quarantined,
                                   expired, committed_at, last_committed_at)
        SELECT source_id, pass, min(start_offset), max(end_offset), min(first_line),
               (array_agg(last_start ORDER BY end_offset DESC))[1], (array_agg(last_line ORDER BY end_offset DESC))[1],
               sum(batches), sum(records), sum(rows), sum(stored), sum(duplicate), sum(conflict), sum(blank), sum(quarantined),
               sum(expired), min(committed_at), max(last_committed_at)
        FROM islands GROUP BY source_id, pass, island
    )
    SELECT count(*) FROM gone
""")


def fold_after_s(settings: Settings) -> float:
    """The age at which a batch may be folded."""
    return settings.ack_ttl_s + settings.visibility_timeout_s + MARGIN_S


def fold(connection: Connection, older_than_s: float, limit: int = MAX_BATCHES) -> int:
    """Fold the oldest batches, at most `limit`, in the caller's transaction. Returns how many were folded."""
    return int(connection.scalar(FOLD, {"older_than_s": older_than_s, "limit": limit}) or 0)


def fold_old(connection: Connection, settings: Settings, limit: int) -> int:
    """Fold the batches that are old enough by the settings, as the chore does."""
    return fold(connection, fold_after_s(settings), limit)
