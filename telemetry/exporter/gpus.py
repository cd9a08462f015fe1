"""The latest value of each series under DCGM's names and labels, so that boards and alerts made for dcgm-exporter work.

It is off unless a setting asks for it: a fleet has a hundred thousand series, and whoever runs dcgm-exporter scrapes them
already. A value older than LIVE_S is not shown. A silent GPU is shown by the age of its last reading, for a day.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from math import inf
from typing import Any

from prometheus_client.core import GaugeMetricFamily, UnknownMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine, Row

from telemetry.exporter.families import gauge
from telemetry.readings import prometheus_labels
from telemetry.readings.prometheus_labels import GPU
from telemetry.store.read.history import latest

LIVE_S = 300
HORIZON = timedelta(days=1)
MAX_SERIES = 200_000
# Names come from files, whose writers must not be able to take the name of another metric.
NAME = re.compile(r"DCGM_FI_[A-Z0-9_]+")
# Labels of who has the GPU. When that changes, a metric of the GPU goes on as another series, and the former one has ended.
HOLDERS = frozenset({"pod", "namespace", "container", "pod_uid", "hpc_job"})

Labels = tuple[tuple[str, str], ...]


def look(engine: Engine) -> Sequence[Metric]:
    """Metrics of the latest values. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        rows = connection.execute(latest.exported(HORIZON).limit(MAX_SERIES)).all()
    return [*_values(rows), _ages(rows)]


def _values(rows: Iterable[Row[Any]]) -> Iterator[Metric]:
    """One metric for each name. Of series that differ only in the labels of HOLDERS, the one read latest is shown."""
    latest: dict[str, dict[Labels, Row[Any]]] = defaultdict(dict)
    for row in rows:
        if row.age_s < LIVE_S and NAME.fullmatch(row.name):
            labels = prometheus_labels.labels(row, row.labels)
            lasting = tuple(sorted((name, value) for name, value in labels.items() if name not in HOLDERS))
            # Rows come with the latest reading first.
            latest[row.name].setdefault(lasting, row)
    for name, shown in sorted(latest.items()):
        first = next(iter(shown.values()))
        # Not a counter: prometheus_client would put _total behind its name, and DCGM's names have none.
        kind = GaugeMetricFamily if first.kind == "gauge" else UnknownMetricFamily
        family = kind(name, first.description or "A metric that is not in the catalogue.")
        for row in shown.values():
            family.add_sample(name, dict(prometheus_labels.labels(row, row.labels)), row.value)
        yield family


def _ages(rows: Iterable[Row[Any]]) -> Metric:
    ages_s: dict[tuple[str, ...], float] = {}
    for row in rows:
        labels = tuple(prometheus_labels.of_gpu(row).values())
        ages_s[labels] = min(ages_s.get(labels, inf), row.age_s)
    text = "Age of the last reading of a GPU that was read within a day, by the database's clock."
    return gauge("telemetry_gpu_reading_age_seconds", text, GPU, ages_s.items())
