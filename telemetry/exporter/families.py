"""Makes metrics of the plain values that one look has found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy

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


def with_label(label: str, value: str, metrics: Sequence[Metric]) -> Sequence[Metric]:
    """Metrics with one more label."""
    for metric in metrics:
        metric.samples = [sample._replace(labels={**sample.labels, label: value}) for sample in metric.samples]
    return metrics


def joined(metrics: Iterable[Metric]) -> Iterable[Metric]:
    """Metrics of which each has a name of its own, as a page wants it: the samples of one name stand together."""
    by_name: dict[str, Metric] = {}
    for metric in metrics:
        if metric.name in by_name:
            # What a look has seen is shown many times.
            by_name[metric.name] = both = copy(by_name[metric.name])
            both.samples = [*both.samples, *metric.samples]
        else:
            by_name[metric.name] = metric
    return by_name.values()
