"""A database with a standby: after a planned switch and after failovers all processes go on with the new primary."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.breaking import STANDBY_FAULTS
from tests.faults.site import site

RECOVERY_S = 15.0
MARKS = {"promote_a_lagging_standby": pytest.mark.redteam(of="R20")}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, ())) for name in STANDBY_FAULTS])
def test_a_new_primary_has_all_in_the_end(name: str) -> None:
    with site(with_standby=True) as running:
        running.feed()
        running.wait_for_flow()
        STANDBY_FAULTS[name](running, Random(name))  # noqa: S311
        assert running.wait_for_flow(500) < RECOVERY_S
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"], counts["conflict"]) == (0, 0, 0, 0)
        assert running.doubled(counts) == 0
        assert counts["stored"] > 1000
