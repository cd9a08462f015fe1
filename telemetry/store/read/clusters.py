"""How fast each cluster comes in, how long its batches take, and how many collectors have a session."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

FLOW = text("""
    SELECT split_part(edge, '/', 1) AS cluster, count(*) AS batches, sum(rows) / CAST(:seconds AS float8) AS rows_per_s,
           percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP
               (ORDER BY extract(epoch FROM committed_at - published_at)) AS latency_s
    FROM batches WHERE committed_at > clock_timestamp() - make_interval(secs => :seconds) GROUP BY 1 ORDER BY 1
""")
# Each process of a collector names its sessions; anyone may see the names.
COLLECTORS = text("""
    SELECT count(*) FROM pg_stat_activity WHERE application_name = 'telemetry-collector' AND datname = current_database()
""")


@dataclass(frozen=True, slots=True)
class ClusterFlow:
    """What was committed of one cluster in a stretch of time: batches, rows a second, and how long batches took.

    Times are from a batch's first publication, by the broker's clock, to its commit, by the database's.
    """

    cluster: str
    batches: int
    rows_per_s: float
    latency_p50_s: float
    latency_p99_s: float


def flow(connection: Connection, seconds: float) -> list[ClusterFlow]:
    """The flow of each cluster in the last `seconds`, by name. One that committed nothing in that time is left out."""
    return [
        ClusterFlow(row.cluster, row.batches, round(row.rows_per_s, 1), *(round(max(0.0, each), 4) for each in row.latency_s))
        for row in connection.execute(FLOW, {"seconds": seconds})
    ]


def collectors(connection: Connection) -> int:
    """Sessions of collectors. A process that has stored nothing yet has none."""
    return int(connection.scalar(COLLECTORS) or 0)
