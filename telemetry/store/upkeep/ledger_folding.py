"""Keeps the ledger small: batches that cannot come again under their ids in the ordinary course are folded into ranges.

What is folded keeps its bytes and its rows by class, and loses its ids. Dead batches stay as they are.
"""

from __future__ import annotations

from sqlalchemy import Engine, text

from telemetry.settings import Settings

# Any number, the same for every process of this project: the key of the lock under which the ledger is folded.
FOLD_LOCK = 7_402_113_997
# Beyond the longest life of an acknowledgement and of a message that somebody holds.
MARGIN_S = 3600
MOST_BATCHES = 20_000
PATIENCE_S = 5

FOLD = text("""
    WITH old AS (
        SELECT edge, batch_id FROM batches
        WHERE status = 'stored' AND committed_at < clock_timestamp() - make_interval(secs => :older_than_s)
        ORDER BY committed_at LIMIT :most
    ), gone AS (
        DELETE FROM batches b USING old WHERE (b.edge, b.batch_id) = (old.edge, old.batch_id) RETURNING b.*
    ), before AS (
        DELETE FROM ledger_ranges WHERE source_id IN (SELECT source_id FROM gone) RETURNING *
    ), pieces AS (
        SELECT source_id, anchor, start_offset, end_offset, first_line, start_offset AS last_start, first_line AS last_line,
               1 AS batches, coalesce(records, rows) AS records, rows, stored, duplicate, conflict, blank, quarantined,
               committed_at, committed_at AS last_committed_at
        FROM gone
        UNION ALL
        SELECT source_id, anchor, start_offset, end_offset, first_line, last_start, last_line,
               batches, coalesce(records, rows), rows, stored, duplicate, conflict, blank, quarantined,
               committed_at, last_committed_at
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
                                   committed_at, last_committed_at)
        SELECT source_id, pass, min(start_offset), max(end_offset), min(first_line),
               (array_agg(last_start ORDER BY end_offset DESC))[1], (array_agg(last_line ORDER BY end_offset DESC))[1],
               sum(batches), sum(records), sum(rows), sum(stored), sum(duplicate), sum(conflict), sum(blank), sum(quarantined),
               min(committed_at), max(last_committed_at)
        FROM islands GROUP BY source_id, pass, island
    )
    SELECT count(*) FROM gone
""")


def fold_after_s(settings: Settings) -> float:
    """The age at which a batch may be folded."""
    return settings.ack_ttl_s + settings.visibility_timeout_s + MARGIN_S


def fold(engine: Engine, older_than_s: float, most: int = MOST_BATCHES) -> int:
    """Fold the oldest batches, at most so many; how many were. 0 while another process is at it.

    Raises SQLAlchemyError, also when that takes longer than PATIENCE_S: then fewer may do.
    """
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = '{PATIENCE_S}s'"))
        if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": FOLD_LOCK}):
            return 0
        return int(connection.scalar(FOLD, {"older_than_s": older_than_s, "most": most}) or 0)
