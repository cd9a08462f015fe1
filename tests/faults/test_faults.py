"""Each fault, while rows flow: at the end every row is in exactly one class, none missing, none extra.

A few strike one system, one after the other: to start a system takes longer than to break it.
"""

from __future__ import annotations

from random import Random

import pytest
from _pytest.mark import ParameterSet

from tests.faults.breaking import FAULTS
from tests.faults.site import site

RECOVERY_S = 10.0
# They hold the system up by themselves for longer.
SLOWEST_MS = """
    SELECT coalesce(max(1000 * extract(epoch FROM committed_at - published_at)), 0)::bigint FROM batches
    WHERE published_at > (SELECT min(committed_at) + '1 s' FROM batches)
"""
SLOW = {"lock_tables", "freeze_collector"}
# How fast others are stored beside it is looked at.
ALONE = "poison"
RED_TEAM = {
    "change_labels": "R3",
    "kill_postmaster_that_commits_late": "R4",
    "detach_partitions": "R5",
    "second_machine": "R9",
    "lose_edge_and_broker_at_a_rotation": "R10",
    "fail_over_to_a_lagging_standby": "R20",
    "lose_the_centre": "R1",
}


def group(*names: str) -> ParameterSet:
    """Faults that strike one system, with the marks of those that a red team had."""
    marks = [pytest.mark.redteam(of=RED_TEAM[name]) for name in names if name in RED_TEAM]
    return pytest.param(names, marks=marks, id="+".join(names))


OTHERS = [*RED_TEAM, *(name for name in FAULTS if name not in {ALONE, *RED_TEAM})]
GROUPS = [group(ALONE), *(group(*OTHERS[n : n + 3]) for n in range(0, len(OTHERS), 3))]


@pytest.mark.parametrize("names", GROUPS)
@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nothing_stored_twice(names: tuple[str, ...]) -> None:
    with site() as running:
        running.feed()
        running.wait_for_flow()
        for name in names:
            FAULTS[name](running, Random(name))  # noqa: S311
            recovered_s = running.wait_for_flow(500)
            assert recovered_s < RECOVERY_S or name in SLOW, name
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"], counts["conflict"]) == (0, 0, 0, 0)
        assert running.doubled(counts) == 0
        assert counts["stored"] > 1000
        assert counts["blank"] > 0
        assert counts["quarantined"] > 0
        assert ALONE not in names or running.count(SLOWEST_MS) < 1000 * RECOVERY_S / 2, "others were delayed"
