"""The gap audit: bytes of a source that should be in the ledger and are missing.

Everything between the first and the last byte that the ledger has of a source should be there, and everything that the edge
reports as committed. Files of one fingerprint are examined together, because a renamed file goes on where it was, and the
batches of a copy are in the ledger under the first file. Of a replay only the current pass counts. A gap between committed
batches closes by itself while messages are on their way, so it is old only after some time. Bytes that the edge reports as
committed and the ledger has forgotten are an old gap at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from telemetry.readings.reported import Committed, Lost

GAPS = text("""
    WITH committed AS (
        SELECT * FROM unnest(CAST(:edge AS text[]), CAST(:fingerprint AS text[]), CAST(:path AS text[]),
                             CAST(:anchor AS bigint[]), CAST(:begin AS bigint[]), CAST(:end AS bigint[]))
            AS k (edge, fingerprint, path, anchor, start_offset, end_offset)
        WHERE start_offset < end_offset
    ), lost AS (
        SELECT edge, fingerprint, range_agg(int8range(start_offset, end_offset)) AS ranges
        FROM unnest(CAST(:lost_edge AS text[]), CAST(:lost_fingerprint AS text[]), CAST(:lost_start AS bigint[]),
                    CAST(:lost_end AS bigint[])) AS k (edge, fingerprint, start_offset, end_offset) GROUP BY 1, 2
    ), sourced AS (
        SELECT source_id, anchor, min(start_offset) AS first, max(end_offset) AS last,
               max(last_committed_at) AS last_commit, range_agg(int8range(start_offset, end_offset)) AS ranges
        FROM ledger WHERE anchor IS NULL OR anchor >= 0 GROUP BY source_id, anchor
    ), covered AS (
        SELECT s.edge, s.fingerprint, k.anchor, max(s.path) AS path, min(k.first) AS first, max(k.last) AS last,
               max(k.last_commit) AS last_commit, range_agg(part) AS ranges,
               max(k.anchor) OVER (PARTITION BY s.edge, s.fingerprint) AS pass
        FROM sourced k JOIN sources s ON s.id = k.source_id LEFT JOIN LATERAL unnest(k.ranges) AS part ON true
        GROUP BY s.edge, s.fingerprint, k.anchor
    ), spans AS (
        SELECT edge, fingerprint, path, anchor, int8range(start_offset, end_offset) AS span FROM committed
        UNION ALL
        SELECT edge, fingerprint, path, anchor, int8range(first, last) FROM covered WHERE anchor IS NOT DISTINCT FROM pass
            OR anchor IS NULL
    ), expected AS (
        SELECT edge, fingerprint, anchor, max(path) AS path, range_agg(span) AS ranges FROM spans GROUP BY 1, 2, 3
    ), gaps AS (
        SELECT w.edge, w.fingerprint, w.path, w.anchor, c.last, c.last_commit,
               unnest(w.ranges - coalesce(c.ranges, '{}') - coalesce(l.ranges, '{}')) AS gap
        FROM expected w
        LEFT JOIN covered c ON (c.edge, c.fingerprint) = (w.edge, w.fingerprint) AND c.anchor IS NOT DISTINCT FROM w.anchor
        LEFT JOIN lost l ON (l.edge, l.fingerprint) = (w.edge, w.fingerprint)
    )
    SELECT g.edge, g.fingerprint, g.path, g.anchor, lower(g.gap) AS start_offset, upper(g.gap) AS end_offset,
           coalesce(passed.since, g.last_commit, clock_timestamp()) AS since,
           passed.since IS NULL OR passed.since < clock_timestamp() - make_interval(secs => :alert_s) AS is_old
    FROM gaps g CROSS JOIN LATERAL (
        SELECT min(l.committed_at) AS since FROM ledger l JOIN sources s ON s.id = l.source_id
        WHERE (s.edge, s.fingerprint) = (g.edge, g.fingerprint) AND l.anchor IS NOT DISTINCT FROM g.anchor
            AND l.start_offset >= upper(g.gap)
    ) passed
    ORDER BY g.edge, g.path, lower(g.gap)
""")

RANGES = text("""
    SELECT l.start_offset, l.end_offset, l.first_line, l.last_start, l.last_line
    FROM ledger l JOIN sources s ON s.id = l.source_id
    WHERE (s.edge, s.fingerprint, s.path) = (:edge, :fingerprint, :path)
        AND l.anchor IS NOT DISTINCT FROM CAST(:anchor AS bigint)
    ORDER BY l.start_offset
""")


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes [start, end) that are missing in the ledger, since the time when bytes after them were committed.

    `path` is that of one of the files of this fingerprint. `anchor` is the replay pass, or None. A gap that is not old may
    close by itself.
    """

    edge: str
    fingerprint: str
    path: str
    anchor: int | None
    start: int
    end: int
    since: datetime
    is_old: bool


def gaps(connection: Connection, alert_s: float, committed: Sequence[Committed] = (), lost: Sequence[Lost] = ()) -> list[Gap]:
    """All gaps; those of more than `alert_s` seconds are old. Bytes that an edge recorded as lost are no gaps.

    Ask the edges for `committed` and `lost` before calling this: what is committed in between would seem to be missing.
    """
    held = {name: [getattr(range_, name) for range_ in committed] for name in Committed._fields}
    given_up = {f"lost_{name}": [getattr(range_, name) for range_ in lost] for name in Lost._fields}
    return [Gap(*row) for row in connection.execute(GAPS, {"alert_s": alert_s, **held, **given_up})]


def ledger_ranges(
    connection: Connection, edge: str, fingerprint: str, path: str, anchor: int | None
) -> list[tuple[int, int, int]]:
    """What the ledger has of a source, as (start, end, first line) in order of start.

    Each batch is one range. Folded batches are two: the last of them, and all before it.
    """
    source = {"edge": edge, "fingerprint": fingerprint, "path": path, "anchor": anchor}
    ranges: list[tuple[int, int, int]] = []
    for row in connection.execute(RANGES, source):
        if row.last_start > row.start_offset:
            ranges.append((row.start_offset, row.last_start, row.first_line))
        ranges.append((row.last_start, row.end_offset, row.last_line))
    return ranges
