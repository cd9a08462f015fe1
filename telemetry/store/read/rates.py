"""How fast the ledger grows: what was committed lately, how long it took, and what died."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

FLOW = text("""
    SELECT edge, count(*) AS batches, sum(rows) AS rows, sum(stored) AS stored, sum(quarantined) AS quarantined,
           count(*) FILTER (WHERE status = 'dead') AS dead,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM committed_at - published_at)) AS latency_s,
           extract(epoch FROM clock_timestamp()
                   - max(committed_at) FILTER (WHERE stored + duplicate + conflict > 0)) AS row_age_s
    FROM batches WHERE committed_at > clock_timestamp() - make_interval(secs => :seconds)
    GROUP BY edge ORDER BY edge
""")

ROWS = text("""
    SELECT s.edge, s.fingerprint, sum(b.rows) AS rows
    FROM batches b JOIN sources s ON s.id = b.source_id
    WHERE b.committed_at > clock_timestamp() - make_interval(secs => :seconds)
    GROUP BY s.edge, s.fingerprint
""")


@dataclass(frozen=True, slots=True)
class Flow:
    """What was committed of one edge in a stretch of time. `latency_s` is the median from first publish to commit.

    `row_age_s`: how long ago the last commit was that had a reading with a value; None if there was none.
    """

    edge: str
    batches: int
    rows: int
    stored: int
    quarantined: int
    dead: int
    rows_per_s: float
    latency_s: float
    row_age_s: float | None


def flow(connection: Connection, seconds: float) -> list[Flow]:
    """The flow of each edge in the last `seconds`, by name. An edge that committed nothing in that time is left out."""
    return [
        Flow(
            edge=row.edge,
            batches=row.batches,
            rows=row.rows,
            stored=row.stored,
            quarantined=row.quarantined,
            dead=row.dead,
            rows_per_s=round(row.rows / seconds, 1),
            latency_s=round(row.latency_s, 4),
            row_age_s=None if row.row_age_s is None else round(float(row.row_age_s), 3),
        )
        for row in connection.execute(FLOW, {"seconds": seconds})
    ]


def rows_per_s(connection: Connection, seconds: float) -> dict[tuple[str, str], float]:
    """Rows a second that were committed in the last `seconds`, by edge and fingerprint of a source; the idle are left out."""
    sources = connection.execute(ROWS, {"seconds": seconds})
    return {(edge, fingerprint): round(float(rows) / seconds, 1) for edge, fingerprint, rows in sources}
