"""What a process shows on its metrics port, read as Prometheus reads it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def answer(port: int, path: str) -> tuple[int, Any]:
    """Status and JSON of a GET; (0, None) while nobody listens."""
    try:
        status, body = get(port, path)
    except OSError:
        return 0, None
    return status, json.loads(body)


def scrape(port: int) -> Samples:
    """All samples of a process; none while nobody listens."""
    try:
        _, text = get(port, "/metrics")
    except OSError:
        return {}
    return parse(text)


def parse(text: str) -> Samples:
    """The samples in a page of metrics."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def values(metrics: Iterable[Metric]) -> Samples:
    """The samples of some metrics."""
    return {(sample.name, frozenset(sample.labels.items())): sample.value for metric in metrics for sample in metric.samples}


def total(samples: Samples, name: str, **labels: str) -> float | None:
    """The sum of the samples of a name that carry some labels; None if there is none."""
    wanted = labels.items()
    found = [value for (each, has), value in samples.items() if each == name and wanted <= has]
    return sum(found) if found else None


def by(samples: Samples, name: str, label: str) -> Mapping[str, float]:
    """Samples of a name, summed by one label."""
    found: dict[str, float] = {}
    for (each, has), value in samples.items():
        if each == name:
            key = dict(has)[label]
            found[key] = found.get(key, 0) + value
    return found
