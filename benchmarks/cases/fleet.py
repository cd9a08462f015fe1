"""A fleet: one real edge and many synthetic ones, at 100 rows a second each, for minutes: does its lag stay flat.

Each synthetic edge holds as many connections as the real one does, if the limits of this machine let it.
"""

from __future__ import annotations

import statistics

from benchmarks.bench import Bench
from benchmarks.cases.latency import percentiles
from benchmarks.feeder import Feeder
from benchmarks.synthetic.fleet import fleet
from benchmarks.synthetic.payloads import ROWS


def run(bench: Bench) -> dict[str, float]:
    """Lag in rows at the beginning and the end, its growth as a share of the rows due, and the latency."""
    sizes = bench.sizes
    source = bench.file("fleet", (sizes.fleet_s + 60) * ROWS)
    with bench.site() as site, fleet(bench, site, sizes.fleet_edges, sizes.fleet_s) as running:
        path = site.directory / "grown.csv"
        others = running.connections()
        site.start_edge(path, "real")
        with Feeder(source, path, ROWS) as feeder:
            site.wait(lambda: site.flow("bench/real").rows > 0, "the real edge's first rows")
            running.connect(running.connections() - others)
            running.run(sizes.fleet_s)
            connections = running.connections()
        bench.traces["fleet: rows due and not acknowledged"] = [sample.lag for sample in running.samples]
        lags = [sample.lag for sample in running.samples]
        third = max(1, len(lags) // 3)
        return {
            "edges": sizes.fleet_edges + 1,
            "connections": connections,
            "seconds": sizes.fleet_s,
            "first_batches_s": running.first_s,
            "acknowledged_rows_per_s": running.rate(),
            "lag_at_first_rows": statistics.median(lags[:third]),
            "lag_at_last_rows": statistics.median(lags[-third:]),
            "lag_growth": running.growth(),
            "real_edge_lag_rows": feeder.rows - site.flow("bench/real").rows,
            "queued_messages": running.samples[-1].queued,
            "publisher_late_ms": running.late_s * 1000,
            "publisher_cpu_percent": 100 * running.cpu_share,
            **percentiles(site),
        }
