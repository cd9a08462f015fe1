from __future__ import annotations

import numpy as np

from telemetry.simulate.fleet import build
from telemetry.simulate.jobs import Work
from telemetry.simulate.load import Load

START = 1_752_871_354


def test_work_is_told_apart_by_how_busy_it_keeps_a_gpu() -> None:
    demand = Load(build(8, 8, seed=0), 0, START).over(START + np.arange(0, 20_000.0, 20))
    mean = {work: demand.busy[demand.work == work].mean() for work in Work}
    assert mean[Work.IDLE] == 0
    assert mean[Work.NOTEBOOK] < 0.1 < mean[Work.INFERENCE] < 0.6
    assert mean[Work.TRAINING] > 0.85
    assert 0 <= demand.busy.min() <= demand.busy.max() <= 1


def test_a_pods_gpus_take_their_checkpoints_together() -> None:
    fleet = build(6, 8, seed=0)
    load = Load(fleet, 0, START)
    demand = load.over(START + np.arange(0, 3600.0, 5))
    steady = [host for host in fleet if len(set(demand.slots[:, host.number].tolist())) == 1]
    places: dict[str, list[int]] = {}
    for host in steady:
        for index, job in enumerate(load.jobs(host, int(demand.slots[0, host.number]))):
            if job.work is Work.TRAINING:
                places.setdefault(job.pod, []).append(host.number * 8 + index)
    assert any(len(gpus) > 1 for gpus in places.values())
    for gpus in places.values():
        dips = demand.busy[:, gpus] < 0.3
        assert dips.any()
        assert (dips.all(axis=1) == dips.any(axis=1)).all()
