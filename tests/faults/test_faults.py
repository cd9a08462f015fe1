"""Each fault, while rows flow: at the end every row is in exactly one class, none missing, none extra."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.breaking import FAULTS
from tests.faults.site import site

RECOVERY_S = 10.0
# They hold the system up by themselves for longer.
SLOWEST_MS = """
    SELECT coalesce(max(1000 * extract(epoch FROM committed_at - published_at)), 0)::bigint FROM batches
    WHERE published_at > (SELECT min(committed_at) + '1 s' FROM batches)
"""
SLOW = {"lock_tables", "freeze_collector"}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nothing_stored_twice(name: str) -> None:
    with site() as running:
        running.feed()
        running.wait_for_flow()
        FAULTS[name](running, Random(name))  # noqa: S311
        recovered_s = running.wait_for_flow(500)
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"], counts["conflict"]) == (0, 0, 0, 0)
        assert running.doubled(counts) == 0
        assert counts["stored"] > 1000
        assert counts["blank"] > 0
        assert counts["quarantined"] > 0
        assert name != "poison" or running.count(SLOWEST_MS) < 1000 * RECOVERY_S / 2, "others were delayed"
        assert recovered_s < RECOVERY_S or name in SLOW
