"""Latency from publish to commit while the collector is half busy: synthetic edges at half the rate of `small`."""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks.bench import Bench, Site
from benchmarks.cases import end_to_end
from benchmarks.synthetic.fleet import fleet
from benchmarks.synthetic.payloads import BATCH_BYTES, WARM_UPS

LOAD = 0.5
LATENCIES = """
    SELECT 1000 * extract(epoch FROM pg_xact_commit_timestamp(xmin) - published_at)
    FROM batches WHERE edge LIKE 'fleet/%%' AND start_offset >= %s
"""


def run(bench: Bench) -> dict[str, float]:
    """Each edge publishes a batch a second, so the load is as many edges."""
    if "small" not in bench.figures:
        bench.figures["small"] = [end_to_end.small(bench)]
    capacity = statistics.median(each["rows_per_s"] / each["rows_per_message"] for each in bench.figures["small"])
    edges = max(1, round(capacity * LOAD))
    with bench.site() as site, fleet(bench, site, edges, bench.sizes.latency_s) as running:
        running.run(bench.sizes.latency_s)
        return {
            "messages_per_s": edges,
            **percentiles(site),
            "publisher_late_ms": running.late_s * 1000,
            "publisher_cpu_percent": 100 * running.cpu_share,
        }


def percentiles(site: Site) -> dict[str, float]:
    """Of all batches of synthetic edges but those that warmed up."""
    with site.database() as connection:
        found = [float(row[0]) for row in connection.execute(LATENCIES, [WARM_UPS * BATCH_BYTES])]
    return {"p50_ms": float(np.percentile(found, 50)), "p99_ms": float(np.percentile(found, 99))}
