"""After an outage: the centre is back, and an edge at the default settings has an hour of 1,000 rows a second to catch up."""

from __future__ import annotations

from benchmarks.bench import Bench

INTERVAL_S = 2
EVERY_S = 0.5


def run(bench: Bench) -> dict[str, float]:
    """Seconds from the edge's first publish to the last commit."""
    file = bench.file("outage", bench.sizes.outage_rows, interval_s=INTERVAL_S)
    with bench.site() as site:
        site.start_collector()
        site.ingest(bench.warm_up, "warm-up", 100)
        site.start_edge(file.path, "outage")
        site.wait(lambda: site.flow("bench/outage").rows >= file.rows, "the edge caught up", every_s=EVERY_S)
        flow = site.committed("bench/outage", file.rows)
        return {
            "seconds": flow.committed_s - flow.published_s,
            "rows": flow.rows,
            "rows_per_s": flow.rows_per_s,
            "rows_per_message": flow.rows / flow.batches,
        }
