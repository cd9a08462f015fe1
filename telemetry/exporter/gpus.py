"""The latest value of each series under DCGM's names and labels, so that boards and alerts made for dcgm-exporter work.

Off unless asked for: a fleet has a hundred thousand series, and who runs dcgm-exporter scrapes them already. A value older
than LIVE_S is no longer shown; a GPU without any is shown by the time of its last reading, for a day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily, UnknownMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine, Row

from telemetry.exporter.families import gauge
from telemetry.store import watch

LIVE_S = 300
HORIZON_S = 86_400
MAX_SERIES = 200_000
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
GPU = ("UUID", "gpu", "Hostname")


def look(engine: Engine) -> Sequence[Metric]:
    """The values of now. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        found = watch.latest(connection, HORIZON_S, MAX_SERIES)
        now_s = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())::float8").scalar_one()
    return [*_values(found, now_s), _last(found)]


def _values(found: Iterable[Row[Any]], now_s: float) -> Iterator[Metric]:
    """One metric for each name. Of two series that the labels do not tell apart, the later reading is shown."""
    names: dict[str, tuple[Row[Any], dict[tuple[tuple[str, str], ...], float]]] = {}
    for row in found:
        if now_s - row.ts.timestamp() < LIVE_S and NAME.fullmatch(row.name):
            _, values = names.setdefault(row.name, (row, {}))
            values[tuple(sorted(_labels(row).items()))] = row.value
    for name, (row, values) in sorted(names.items()):
        # Not a counter: prometheus_client would put _total behind its name, and DCGM has none.
        kind = GaugeMetricFamily if row.kind == "gauge" else UnknownMetricFamily
        family = kind(name, row.description or "A metric that is not in the catalogue.")
        for labels, value in values.items():
            family.add_sample(name, dict(labels), value)
        yield family


def _labels(row: Row[Any]) -> Mapping[str, str]:
    """As dcgm-exporter names them; those of the pod come with the others."""
    own = {**_gpu(row), "device": row.device or "", "modelName": row.model or ""}
    return {**{re.sub(r"\W", "_", name, flags=re.ASCII): str(value) for name, value in row.labels.items()}, **own}


def _gpu(row: Row[Any]) -> dict[str, str]:
    index = "" if row.gpu_index is None else str(row.gpu_index)
    return dict(zip(GPU, (row.uuid or row.identity, index, row.host or ""), strict=True))


def _last(found: Iterable[Row[Any]]) -> Metric:
    last: dict[tuple[str, ...], float] = {}
    for row in found:
        labels = tuple(_gpu(row).values())
        last[labels] = max(last.get(labels, 0.0), row.ts.timestamp())
    text = "Time of the last reading of a GPU that was read within a day."
    return gauge("telemetry_gpu_last_reading_timestamp_seconds", text, GPU, last.items())
