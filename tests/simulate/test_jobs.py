from __future__ import annotations

import numpy as np
import pytest

from telemetry.simulate.jobs import Work, plan, slot


@pytest.mark.parametrize("gpus", [1, 2, 3, 8, 16])
def test_every_gpu_has_a_job_or_is_idle_without_names(gpus: int) -> None:
    for number in range(12):
        made = plan(0, 5, gpus, number)
        assert len(made.jobs) == len(made.work) == len(made.fill) == gpus
        for job in made.jobs:
            assert all([job.pod, job.namespace, job.container]) == (job.work is not Work.IDLE)


def test_a_plan_depends_on_seed_host_and_slot_alone() -> None:
    assert plan(1, 2, 8, 3).jobs == plan(1, 2, 8, 3).jobs
    assert plan(1, 2, 8, 3).jobs != plan(1, 2, 8, 9).jobs


def test_jobs_change_over_hours_and_hosts_do_not_change_together() -> None:
    day = np.arange(0, 86_400.0, 60)
    changes = [np.flatnonzero(np.diff(slot(0, host, day))).tolist() for host in range(4)]
    assert all(2 <= len(times) <= 12 for times in changes)
    assert len({tuple(times) for times in changes}) == 4


def test_all_kinds_of_work_come_up() -> None:
    seen = {job.work for number in range(6) for job in plan(0, 0, 8, number).jobs}
    assert seen == set(Work)
