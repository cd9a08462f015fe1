"""A fleet: one real edge and many synthetic ones, at 100 rows a second each, for minutes: does its lag stay flat.

Each synthetic edge holds as many connections as the real one does, if the limits of this machine let it. At the end
the publishing stops, and the ledger and the samples are counted against what was published.
"""

from __future__ import annotations

from benchmarks import data
from benchmarks.bench import Bench, Site
from benchmarks.feeder import Feeder, Growing
from benchmarks.meter import Meter
from benchmarks.synthetic.fleet import Fleet, Sample, fleet
from benchmarks.synthetic.payloads import NODE, ROWS, Shape
from benchmarks.synthetic.trend import growth, trend

REAL = "bench/real"
DRAIN_S = 120
COUNTS = """
    SELECT (SELECT coalesce(sum(rows), 0) FROM batches WHERE edge LIKE 'fleet/%' OR edge = 'bench/real'),
           (SELECT coalesce(sum(stored), 0) FROM batches), (SELECT count(*) FROM samples)
"""


def run(bench: Bench) -> dict[str, float]:
    """What was due, acknowledged and stored, and how the lag went."""
    sizes = bench.sizes
    source = bench.file("fleet", (sizes.fleet_s + 120) * ROWS, **data.NODE)
    with (
        bench.site() as site,
        fleet(bench, site, sizes.fleet_edges, sizes.fleet_s) as running,
        Growing(source, site.directory / "grown.csv") as file,
    ):
        others = running.connections()
        site.start_edge(file.path, "real")
        with Feeder(file, ROWS):
            site.wait(lambda: site.flow(REAL).rows > 0, "the real edge's first rows")
            of_an_edge = running.connections() - others
            running.connect(of_an_edge)
            with Meter([bench.valkey], running.collectors, bench.postgres) as meter:
                running.run(sizes.fleet_s, lambda: file.rows - site.flow(REAL).rows)
            connections = running.connections()
        running.drain(DRAIN_S)
        site.wait(lambda: site.flow(REAL).rows == file.rows, "the real edge's last rows")
        bench.traces["fleet: rows due and not acknowledged"] = [sample.lag for sample in running.samples]
        bench.traces["fleet: rows of the real edge's file that are not in the ledger"] = [
            sample.watched for sample in running.samples
        ]
        return {
            "edges": sizes.fleet_edges + 1,
            "connections": connections,
            "seconds": sizes.fleet_s,
            "first_batches_s": running.first_s,
            **figures(running.samples, sizes.fleet_edges, NODE),
            "real_edge_lag_growth_s": growth([sample.watched for sample in running.samples]) / ROWS,
            "connections_of_an_edge": of_an_edge,
            **meter.figures(running.ticks, running.ticks * ROWS),
            "rows_astray": _astray(running, site, file.rows),
            "publisher_late_ms": running.late_s * 1000,
            "publisher_cpu_percent": 100 * running.cpu_share,
        }


def figures(samples: list[Sample], edges: int, shape: Shape) -> dict[str, float]:
    """Rows by the rate at which they are due are seconds; so are messages."""
    last, rate = samples[-1], edges * shape.rows_per_s
    lags = [sample.lag for sample in samples]
    return {
        "rows_per_s": last.acked / len(samples),
        "acknowledged_share": last.acked / last.due,
        "lag_last_s": lags[-1] / rate,
        "lag_growth_s": growth(lags) / rate,
        "lag_trend_s": trend(lags) / rate,
        "queued_most_s": max(sample.queued for sample in samples) * ROWS / rate,
    }


def _astray(running: Fleet, site: Site, real_rows: int) -> int:
    """Rows published that the ledger does not have or has twice, and samples that it does not account for."""
    with site.database() as connection:
        entered, stored, samples = connection.execute(COUNTS).fetchone() or (0, 0, 0)
    sent = ROWS * sum(edge.published for edge in running.edges) + real_rows
    return abs(int(entered) - sent) + abs(int(stored) - int(samples))
