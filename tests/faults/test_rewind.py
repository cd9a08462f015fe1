"""A database that has forgotten commits, under running edges: they send again what is missing, and nobody asks them to."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.backups import rewind
from tests.faults.breaking import FAULTS, SOAK_FAULTS
from tests.faults.site import site


@pytest.mark.parametrize("name", ["restore_backup", "lose_the_centre", "fail_over_to_a_lagging_standby"])
def test_a_database_that_has_forgotten_commits_is_filled_again(name: str) -> None:
    with site() as running:
        running.feed()
        running.wait_for_flow()
        (FAULTS | SOAK_FAULTS)[name](running, Random(0))  # noqa: S311
        running.wait_for_flow(500)
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"]) == (0, 0, 0)
        assert running.doubled(counts) == 0
        assert counts["stored"] > 5000


def test_a_rewind_that_nothing_calls_for_costs_nothing_but_repetition() -> None:
    with site() as running:
        running.feed()
        running.wait_for_flow()
        assert rewind(running) == []
        running.wait_for_flow()
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"]) == (0, 0, 0)
