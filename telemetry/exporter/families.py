"""Makes metrics of the plain values that one look has found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from telemetry.readings.names import Edge

# Label values, and the value that they belong to.
Rows = Iterable[tuple[tuple[str, ...], float]]
EDGE = ("source_cluster", "edge")


def gauge(name: str, text: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """A gauge with a sample for each row; without rows it has no samples."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def single(name: str, text: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(name, text, value=value)


def keyed(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """A gauge with one label."""
    return gauge(name, text, (label,), (((key,), value) for key, value in values.items()))


def by_edge(name: str, text: str, values: Mapping[str, float]) -> Metric:
    """A gauge with the labels of EDGE, from values by the edges' names."""
    return gauge(name, text, EDGE, ((edge_labels(edge), value) for edge, value in values.items()))


def edge_labels(edge: str) -> tuple[str, str]:
    """The values of the labels of EDGE."""
    return Edge(edge).cluster, edge
