"""The text: rows of the dcgm CSV format, as in a Prometheus dump of a dcgm-exporter.

Only time and value of a row change while a host's jobs stay the same. So a host's rows are made once as a bytes template, and
each scrape only fills it in, which is fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.readings.catalogue import lookup
from telemetry.simulate.fleet import Host
from telemetry.simulate.jobs import Job

# Units in which the exporter shows fractions. %g drops trailing zeros, as Prometheus does.
FRACTIONS = frozenset({"W", "ratio"})
TIME_MARK = b"\x00"


@dataclass(frozen=True, slots=True)
class Template:
    """The rows of a host's scrape with gaps for time and values. `places` are the values' indexes in (metrics x GPUs)."""

    text: bytes
    places: NDArray[np.intp]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.places)

    def fill(self, stamp: bytes, values: NDArray[np.float64]) -> bytes:
        """The rows of one scrape."""
        return (self.text % tuple(values.ravel()[self.places].tolist())).replace(TIME_MARK, stamp)


def template(host: Host, jobs: tuple[Job, ...], silent: NDArray[np.bool_], metrics: tuple[str, ...]) -> Template:
    """The template of a host under these jobs, without its silent GPUs and what its model lacks."""
    lines, places = [], []
    for row, metric in enumerate(metrics):
        if metric in host.model.lacks:
            continue
        for index, job in enumerate(jobs):
            if not silent[index]:
                lines.append(_line(host, index, job, metric))
                places.append(row * len(jobs) + index)
    return Template("".join(lines).encode(), np.array(places, np.intp))


def _line(host: Host, index: int, job: Job, metric: str) -> str:
    labels = {
        "DCGM_FI_DRIVER_VERSION": host.driver,
        "Hostname": host.name,
        "UUID": host.gpus[index],
        "__name__": metric,
        "container": job.container,
        "device": f"nvidia{index}",
        "gpu": str(index),
        "instance": f"{host.name}:9400",
        "job": "dcgm_exporter",
        "modelName": host.model.name,
        "namespace": job.namespace,
        "pod": job.pod,
    }
    raw = ",".join(f'{name}=""{value}""' for name, value in labels.items() if value)
    gap = "%.6g" if lookup(metric).unit in FRACTIONS else "%d"
    head = (
        *(TIME_MARK.decode(), metric, str(index), labels["device"], host.gpus[index], host.model.name),
        *(host.name, job.container, job.pod, job.namespace, gap, raw),
    )
    return ",".join(f'"{cell}"' for cell in head) + "\n"
