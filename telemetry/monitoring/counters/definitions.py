"""The metrics that processes count themselves: their names, labels and buckets.

A process gets its group of counters from `of`, which makes it at its first use: `shared.share` can be called before, and a
process shows its own group only. `stations` counts what happens to batches; beat's port and the API count for themselves.
Labels are bounded: clusters, at most MAX_CLUSTERS a process (others count as `other`), and fixed words.
What must be asked of the broker or the database is the exporter's. Both lists stand in docs/METRICS.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

from telemetry.monitoring.counters import shared
from telemetry.readings.names import Edge

MAX_CLUSTERS = 100
OTHER = "other"
# As Kubernetes limits labels.
MAX_NAME = 63

# Close together around 100 ms, where an alert begins for batches from one cluster to another.
LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
TRANSACTION_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS_BUCKETS = (1, 10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 200_000)
BATCHES_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

ROW_CLASSES: Final = ("stored", "duplicate", "conflict", "blank", "quarantined", "expired", "dead")
PUBLICATIONS: Final = ("first", "again", "probe")
SETTLEMENTS: Final = ("stored", "known", "dead", "probe")


class StreamerCounters:
    """What a streamer counts."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self.batches = Counter(
            "telemetry_batches_published_total",
            "Batches a streamer published: for the first time, again, or as a probe without rows.",
            ["publication"],
            registry=registry,
        )
        self.read = Counter(
            "telemetry_rows_read_total", "Rows read, whether or not the broker has taken them.", registry=registry
        )
        self.rows = Counter(
            "telemetry_rows_published_total", "Rows published; those published again do not count.", registry=registry
        )
        self.rows_again = Counter("telemetry_rows_republished_total", "Rows published again.", registry=registry)
        self.bytes = Counter(
            "telemetry_source_bytes_published_total",
            "Bytes of sources published; those published again do not count.",
            registry=registry,
        )
        for publication in PUBLICATIONS:
            self.batches.labels(publication)


class BeatCounters:
    """What beat counts."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self.ticks = Counter("telemetry_ticks_published_total", "Ticks that beat has published.", registry=registry)


class CollectorCounters:
    """What a collector counts."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        self.batches = counter(
            "telemetry_batches_settled_total",
            "Batches a collector acknowledged: stored now, known before, dead, or a probe.",
            *("source_cluster", "target_cluster", "settlement"),
        )
        self.rows = counter(
            "telemetry_rows_committed_total",
            "Rows of batches committed or dead, by what became of them.",
            *("source_cluster", "target_cluster", "row_class"),
        )
        self.doubled = counter(
            "telemetry_rows_doubled_total",
            "Rows of batches that came again and were known; none of them is stored twice.",
            *("source_cluster", "target_cluster"),
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
            "Failures of a collector's surroundings (database, broker) after which it tried again.",
        )
        self.partition_failures = counter(
            "telemetry_partition_failures_total", "Attempts to make a partition of the samples that the database refused."
        )
        self.refused = counter(
            "telemetry_batches_refused_total",
            "Batches whose id is known with other readings; these are not stored.",
            "source_cluster",
        )
        self.distrusted = counter(
            "telemetry_messages_distrusted_total",
            "Messages that are not believed, as they are not signed, or not by the edge that they claim to be of.",
            "source_cluster",
        )
        self.beyond = counter(
            "telemetry_messages_beyond_total",
            "Messages that were dropped, as their edge sends more than it may; it sends them again.",
            "source_cluster",
        )
        self._pairs: dict[tuple[str, str], PairCounters] = {}

    def pair(self, source: str, target: str) -> PairCounters:
        """The counters of batches from one cluster to another. They are kept, as to look labels up costs more than to count."""
        counters = self._pairs.get((source, target))
        if counters is None:
            # A rate needs a value from before the first of them.
            self.refused.labels(source)
            self.distrusted.labels(source)
            self.beyond.labels(source)
            counters = self._pairs[source, target] = PairCounters(
                {settlement: self.batches.labels(source, target, settlement) for settlement in SETTLEMENTS},
                {row_class: self.rows.labels(source, target, row_class) for row_class in ROW_CLASSES},
                self.doubled.labels(source, target),
                self.latency.labels(source, target),
            )
        return counters


@dataclass(frozen=True, slots=True)
class PairCounters:
    """Counters of one pair of clusters: batches by settlement, rows by class, rows doubled, and the latency."""

    batches: Mapping[str, Counter]
    rows: Mapping[str, Counter]
    doubled: Counter
    latency: Histogram


class ApiCounters:
    """What the API counts."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self.requests = Histogram(
            "telemetry_api_request_seconds",
            "Requests the API answered.",
            ["route", "method", "status"],
            buckets=REQUEST_BUCKETS_S,
            registry=registry,
        )


Group = TypeVar("Group", StreamerCounters, BeatCounters, CollectorCounters, ApiCounters)

registry = CollectorRegistry()
_clusters: set[str] = set()


@cache
def of(kind: type[Group]) -> Group:
    """The counters of this process, by their class. Processes that share need no registry, as their files are read."""
    return kind(None if shared.directory() else registry)


def cluster_of(edge: object) -> str:
    """The label for an edge's cluster. Anyone who may publish can make names up, so their number and length are bounded."""
    name = Edge(edge).cluster[:MAX_NAME] if isinstance(edge, str) else ""
    if name and (name in _clusters or len(_clusters) < MAX_CLUSTERS):
        _clusters.add(name)
        return name
    return OTHER
