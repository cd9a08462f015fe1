"""What people have not heard of: findings that began or ended, and the note that they were told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from telemetry.health.rules import SEVERITIES
from telemetry.store import locks
from telemetry.store.owner_at import OWNER_AT

# What fired longer ago is history, such as what old files tell of.
TELL_WITHIN = timedelta(hours=1)
MOST = 1000

WAITING = text(f"""
    SELECT f.id, coalesce(g.host || ':' || g.gpu_index, g.identity) AS gpu, g.model, f.rule, f.severity, f.begun_at, f.ended_at,
           {OWNER_AT.format(gpu_id="g.id", at="f.begun_at")} AS owner
    FROM (
        SELECT id, gpu_id, rule, severity, begun_at, told_at, CASE WHEN ended_at <= now() THEN ended_at END AS ended_at
        FROM findings
        WHERE (told_at IS NULL AND fired_at BETWEEN now() - CAST(:within AS interval) AND now() AND severity >= :severity)
            OR (told_at IS NOT NULL AND told_end_at IS NULL AND ended_at <= now())
    ) f
    JOIN gpus g ON g.id = f.gpu_id
    ORDER BY f.begun_at LIMIT :most
""")  # noqa: S608 - constants
NOTE = text("""
    UPDATE findings
    SET told_at = coalesce(told_at, now()), told_end_at = CASE WHEN id = ANY(CAST(:ended AS bigint[])) THEN now() END
    WHERE id = ANY(CAST(:ids AS bigint[]))
""")


def waiting(connection: Connection, severity: str) -> Sequence[Row[Any]]:
    """Findings of a severity at least, or a graver one, that people have not heard of, and ends of those that they have."""
    given = {"within": TELL_WITHIN, "severity": 1 + SEVERITIES.index(severity), "most": MOST}
    return connection.execute(WAITING, given).all()


def note(connection: Connection, ids: Sequence[int], ended: Sequence[int]) -> None:
    """Note that people were told of some findings, and of the ends of some of them."""
    connection.execute(NOTE, {"ids": list(ids), "ended": list(ended)})


def is_ours(connection: Connection) -> bool:
    """Whether this session is the one that tells people; it stays so until the session ends."""
    return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": locks.NOTICES}))
