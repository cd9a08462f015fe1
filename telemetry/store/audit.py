"""The gap audit: bytes of a source that the ledger has passed without having them.

A streamer commits a contiguous prefix, so a gap closes by itself while batches are on their way. One that stays says that
something is wrong, and is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

GAPS = text("""
    WITH covered AS (
        SELECT source_id, anchor, min(start_offset) AS first, max(end_offset) AS last,
               range_agg(int8range(start_offset, end_offset)) AS ranges
        FROM batches GROUP BY source_id, anchor
    ), gaps AS (
        SELECT source_id, anchor, unnest(int8multirange(int8range(first, last)) - ranges) AS gap FROM covered
    )
    SELECT s.edge, s.path, g.anchor, lower(g.gap) AS start_offset, upper(g.gap) AS end_offset, p.since
    FROM gaps g JOIN sources s ON s.id = g.source_id
    CROSS JOIN LATERAL (
        SELECT min(committed_at) AS since FROM batches b
        WHERE b.source_id = g.source_id AND b.anchor IS NOT DISTINCT FROM g.anchor AND b.start_offset >= upper(g.gap)
    ) p
    WHERE p.since < clock_timestamp() - make_interval(secs => :older_than_s)
    ORDER BY s.edge, s.path, lower(g.gap)
""")

LEDGER = text("""
    SELECT b.start_offset, b.end_offset, b.first_line FROM batches b JOIN sources s ON s.id = b.source_id
    WHERE (s.edge, s.fingerprint, s.path) = (:edge, :fingerprint, :path)
        AND b.anchor IS NOT DISTINCT FROM CAST(:anchor AS bigint)
    ORDER BY b.start_offset
""")


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes [start, end) that are missing in the ledger since others behind them were committed."""

    edge: str
    path: str
    anchor: int | None
    start: int
    end: int
    since: datetime


def gaps(connection: Connection, older_than_s: float) -> list[Gap]:
    """The gaps that have stayed for so long."""
    rows = connection.execute(GAPS, {"older_than_s": older_than_s})
    return [Gap(row.edge, row.path, row.anchor, row.start_offset, row.end_offset, row.since) for row in rows]


def ledger_ranges(
    connection: Connection, edge: str, fingerprint: str, path: str, anchor: int | None
) -> list[tuple[int, int, int]]:
    """What the ledger has of a source: start, end, first line of each batch."""
    wanted = {"edge": edge, "fingerprint": fingerprint, "path": path, "anchor": anchor}
    return [(row.start_offset, row.end_offset, row.first_line) for row in connection.execute(LEDGER, wanted)]
