"""The latest value of each series under DCGM's names and labels, so that boards and alerts made for dcgm-exporter work.

Off unless asked for: a fleet has a hundred thousand series, and who runs dcgm-exporter scrapes them already. A value older
than LIVE_S is no longer shown; a GPU without any is shown by the age of its last reading, for a day.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

from prometheus_client.core import GaugeMetricFamily, UnknownMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine, Row

from telemetry.exporter.families import gauge
from telemetry.store.read import exporter

LIVE_S = 300
HORIZON_S = 86_400
MAX_SERIES = 200_000
# Names come from files, and whoever writes those must not be able to take the name of another metric.
NAME = re.compile(r"DCGM_FI_[A-Z0-9_]+")
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
GPU = ("UUID", "gpu", "Hostname")
# Who has the GPU: when that changes, a GPU's metric goes on as another series, and the former has ended.
HOLDERS = frozenset({"pod", "namespace", "container", "pod_uid", "hpc_job"})

Labels = tuple[tuple[str, str], ...]


def look(engine: Engine) -> Sequence[Metric]:
    """The values of now. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        found = exporter.latest(connection, HORIZON_S, MAX_SERIES)
    return [*_values(found), _last(found)]


def _values(found: Iterable[Row[Any]]) -> Iterator[Metric]:
    """One metric for each name. Of the series that only their holders tell apart, the one with the latest reading is shown."""
    names: dict[str, dict[Labels, Row[Any]]] = defaultdict(dict)
    for row in found:
        if row.age_s < LIVE_S and NAME.fullmatch(row.name):
            thing = tuple(sorted((name, value) for name, value in _labels(row).items() if name not in HOLDERS))
            names[row.name].setdefault(thing, row)
    for name, rows in sorted(names.items()):
        first = next(iter(rows.values()))
        # Not a counter: prometheus_client would put _total behind its name, and DCGM has none.
        kind = GaugeMetricFamily if first.kind == "gauge" else UnknownMetricFamily
        family = kind(name, first.description or "A metric that is not in the catalogue.")
        for row in rows.values():
            family.add_sample(name, dict(_labels(row)), row.value)
        yield family


def _labels(row: Row[Any]) -> Mapping[str, str]:
    """As dcgm-exporter names them; those of the pod come with the others. Names that are Prometheus' own are not taken."""
    own = {**_gpu(row), "device": row.device or "", "modelName": row.model or ""}
    named = ((re.sub(r"\W", "_", name, flags=re.ASCII), str(value)) for name, value in row.labels.items())
    return {**{name: value for name, value in named if LABEL.fullmatch(name)}, **own}


def _gpu(row: Row[Any]) -> dict[str, str]:
    index = "" if row.gpu_index is None else str(row.gpu_index)
    return dict(zip(GPU, (row.uuid or row.identity, index, row.host or ""), strict=True))


def _last(found: Iterable[Row[Any]]) -> Metric:
    ages: dict[tuple[str, ...], float] = {}
    for row in found:
        labels = tuple(_gpu(row).values())
        ages[labels] = min(ages.get(labels, inf), row.age_s)
    text = "Age of the last reading of a GPU that was read within a day, by the database's clock."
    return gauge("telemetry_gpu_reading_age_seconds", text, GPU, ages.items())
