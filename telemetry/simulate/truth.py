"""What was so in a simulation, beside what its telemetry says: who held which GPU when, what it drew, which XIDs it had.

A stretch of a job begins with the first scrape at which it has the GPU, and ends with the first at which it has not; the last
one ends an interval after the last scrape. A GPU that is silent is held all the same. Energy belongs to the stretch at whose
scrape it had been drawn.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from telemetry.simulate.fleet import Host
from telemetry.simulate.jobs import Job
from telemetry.simulate.timeline import SECOND, Timeline

JOULES_PER_KWH = 3.6e6


@dataclass(slots=True)
class Stretch:
    """A time in which one job, or nobody, had a GPU, and the energy that it drew then."""

    job: Job
    start_us: int
    end_us: int
    energy_mj: float = 0.0


@dataclass(slots=True)
class GpuTruth:
    """One GPU: its stretches, its XIDs as (time, code), its energy counter and XID at the scrape before."""

    stretches: list[Stretch] = field(default_factory=list)
    xids: list[tuple[int, int]] = field(default_factory=list)
    counter_mj: float | None = None
    xid: int = 0


class Truth:
    """What a simulation notes while it runs."""

    def __init__(self, fleet: tuple[Host, ...], timeline: Timeline) -> None:
        self._fleet = fleet
        self._timeline = timeline
        self._gpus = [[GpuTruth() for _ in host.gpus] for host in fleet]

    def note(self, host: int, time_us: int, jobs: tuple[Job, ...], energy_mj: list[float], xids: list[float]) -> None:
        """Take down one scrape of a host, GPU by GPU."""
        end_us = time_us + self._timeline.interval_us
        for gpu, job, counter, xid in zip(self._gpus[host], jobs, energy_mj, xids, strict=True):
            last = gpu.stretches[-1] if gpu.stretches else None
            if last is None or last.job != job:
                if last is not None:
                    last.end_us = time_us
                last = Stretch(job, time_us, end_us)
                gpu.stretches.append(last)
            last.end_us = end_us
            if gpu.counter_mj is not None:
                last.energy_mj += counter - gpu.counter_mj
            gpu.counter_mj = counter
            if int(xid) != gpu.xid:
                gpu.xid = int(xid)
                gpu.xids.append((time_us, gpu.xid))

    def document(self) -> dict[str, Any]:
        """All of it, as one JSON document. A stretch of nobody has no namespace, pod and container; XID 0 is its end."""
        return {
            "interval_s": self._timeline.interval_us / SECOND,
            "gpus": [
                {
                    "gpu": name,
                    "host": host.name,
                    "index": index,
                    "model": host.model.name,
                    "energy_kwh": sum(stretch.energy_mj for stretch in gpu.stretches) / 1000 / JOULES_PER_KWH,
                    "held": [_held(stretch) for stretch in gpu.stretches],
                    "xids": [{"time": _stamp(time_us), "xid": xid} for time_us, xid in gpu.xids],
                }
                for host, gpus in zip(self._fleet, self._gpus, strict=True)
                for index, (name, gpu) in enumerate(zip(host.gpus, gpus, strict=True))
            ],
        }


def _held(stretch: Stretch) -> dict[str, Any]:
    names = {name: value or None for name, value in asdict(stretch.job).items() if name != "work"}
    return {
        "start": _stamp(stretch.start_us),
        "end": _stamp(stretch.end_us),
        **names,
        "work": stretch.job.work.name.lower(),
        "energy_kwh": stretch.energy_mj / 1000 / JOULES_PER_KWH,
    }


def _stamp(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / SECOND, UTC).isoformat().replace("+00:00", "Z")
