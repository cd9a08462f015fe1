"""The metrics that processes count themselves: their names, labels and buckets. `trail` does the counting.

They are made at the first use, so that `shared.share` can come before, and registered nowhere: `server` shows them.
Labels are bounded: clusters, at most MAX_CLUSTERS a process (others count as `other`), and fixed words.
What is read from the broker or the database at a look is the exporter's; both lists stand in docs/METRICS.md.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from telemetry.monitoring import shared

MAX_CLUSTERS = 100
OTHER = "other"

# Around what counts: 100 ms across clusters is the line of an alert.
LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
TRANSACTION_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS_BUCKETS = (1, 10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 200_000)
BATCHES_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

ROW_CLASSES: Final = ("stored", "duplicate", "conflict", "blank", "quarantined", "dead")
PUBLICATIONS: Final = ("first", "again", "probe")
SETTLEMENTS: Final = ("stored", "known", "dead", "probe")


class Metrics:
    """All of them. `registry` is None where processes share them: their collector reads the files."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        self.batches_published = counter(
            "telemetry_batches_published_total",
            "Batches a streamer published: for the first time, again, or as a probe without rows.",
            "publication",
        )
        self.rows_published = counter(
            "telemetry_rows_published_total", "Rows a streamer read and published, those published again not counted."
        )
        self.bytes_published = counter(
            "telemetry_source_bytes_published_total", "Bytes of sources published, those published again not counted."
        )
        self.ticks = counter("telemetry_ticks_published_total", "Ticks that beat has published.")
        self.batches_settled = counter(
            "telemetry_batches_settled_total",
            "Batches a collector acknowledged: stored now, known before, dead, or a probe.",
            *("source_cluster", "target_cluster", "settlement"),
        )
        self.rows_committed = counter(
            "telemetry_rows_committed_total",
            "Rows of batches committed or dead, by what became of them.",
            *("source_cluster", "target_cluster", "row_class"),
        )
        self.batch_rows = histogram("telemetry_batch_rows", "Rows of a batch that was committed.", ROWS_BUCKETS)
        self.latency = histogram(
            "telemetry_batch_latency_seconds",
            "First publish to commit of a batch, both on the broker's clock.",
            LATENCY_BUCKETS_S,
            *("source_cluster", "target_cluster"),
        )
        self.transaction = histogram(
            "telemetry_transaction_seconds", "Duration of the transaction that stores batches.", TRANSACTION_BUCKETS_S
        )
        self.transaction_batches = histogram(
            "telemetry_transaction_batches", "Batches stored by one transaction.", BATCHES_BUCKETS
        )
        self.setbacks = counter(
            "telemetry_collector_setbacks_total",
            "Failures of a collector's surroundings (database, broker, a newer message) after which it tried again.",
        )
        self.requests = histogram(
            "telemetry_api_request_seconds", "Requests the API answered.", REQUEST_BUCKETS_S, "route", "method", "status"
        )


registry = CollectorRegistry()
_clusters: set[str] = set()


@cache
def metrics() -> Metrics:
    """Those of this process."""
    return Metrics(None if shared.directory() else registry)


def cluster_of(edge: object) -> str:
    """The cluster an edge's name begins with. Anyone who may publish can make names up, so their number is bounded."""
    name = edge.partition("/")[0][:63] if isinstance(edge, str) else ""
    if name and (name in _clusters or len(_clusters) < MAX_CLUSTERS):
        _clusters.add(name)
        return name
    return OTHER
