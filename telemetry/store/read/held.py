"""What the ledger holds of a source without a gap, for an edge that asks.

A question may begin behind a place that was held before, so that an answer costs what came since, and not a look at the
whole file's ledger.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from telemetry.readings.digests import wire_path
from telemetry.readings.wire import Source

# A row of one batch begins at a place or behind it; only a folded one may reach over it.
HELD = text("""
    WITH ranges AS (
        SELECT s.path = :path AS is_own, l.start_offset, l.end_offset, l.last_start, l.last_line
        FROM ledger l JOIN sources s ON s.id = l.source_id
        WHERE (s.edge, s.fingerprint) = (:edge, :fingerprint) AND l.anchor IS NOT DISTINCT FROM CAST(:anchor AS bigint)
            AND (l.start_offset >= :at OR (l.batches > 1 AND l.end_offset > :at))
    ), joined AS (
        SELECT range_agg(int8range(start_offset, end_offset)) FILTER (WHERE is_own) AS own,
               range_agg(int8range(start_offset, end_offset)) AS whole
        FROM ranges
    ), reach AS (
        SELECT coalesce((SELECT upper(r) FROM unnest(own) r WHERE r @> CAST(:at AS bigint)), :at) AS own_end,
               coalesce((SELECT upper(r) FROM unnest(whole) r WHERE r @> CAST(:at AS bigint)), :at) AS whole_end
        FROM joined
    )
    SELECT own_end, coalesce(last.last_start, :at), coalesce(last.last_line, :line), whole_end
    FROM reach LEFT JOIN LATERAL (
        SELECT last_start, last_line FROM ranges WHERE is_own AND end_offset = own_end AND start_offset < end_offset
        ORDER BY start_offset DESC LIMIT 1
    ) last ON true
""")


def held(connection: Connection, edge: str, source: Source, at: int, line: int) -> tuple[int, int, int, int]:
    """Up to where the ledger holds a source without a gap behind byte `at` (its line is `line`), and two places more.

    These are byte and line where the last batch of that stretch begins, and the end of the stretch with all files counted that
    begin alike.
    """
    names = {"edge": edge, "fingerprint": source.fingerprint, "path": wire_path(source.path), "anchor": source.anchor}
    own_end, start, last_line, whole_end = connection.execute(HELD, names | {"at": at, "line": line}).one()
    return own_end, start, last_line, whole_end
