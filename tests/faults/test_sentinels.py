"""A broker behind sentinels fails over, in each way, while rows flow: all processes follow, and no row is lost or doubled."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.breaking import SENTINEL_FAULTS
from tests.faults.site import site

# From the end of the fault, which is when the sentinels name another primary.
RECOVERY_S = 15.0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_failovers_lose_nothing_and_store_nothing_twice() -> None:
    # A collector that waits for ever is not to be ended by its watchdog before it is noticed here.
    with site(sentinels=True, stall_s=600) as running:
        running.feed()
        running.wait_for_flow()
        for name, fault in SENTINEL_FAULTS.items():
            fault(running, Random(name))  # noqa: S311
            assert running.wait_for_flow(500) < RECOVERY_S, name
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"], counts["conflict"]) == (0, 0, 0, 0)
        assert running.doubled(counts) == 0
        assert counts["stored"] > 1000
