"""A site that is secured has nobody at its broker without a user of its own, and believes nothing that is not signed."""

from __future__ import annotations

import pytest

from telemetry.readings import wire
from tests.batches import batch, key, readings
from tests.faults.poisons import call
from tests.faults.secured import BREAKER
from tests.faults.site import EXACT_S, site
from tests.waiting import eventually


@pytest.mark.redteam(of="S2")
def test_all_processes_have_users_of_their_own_and_what_is_not_signed_is_refused() -> None:
    header, payload = wire.encode(batch(readings((key(gpu="GPU-false"), 0, 1.0)), "false"))
    with site(proxied=True, secure=True) as running:
        running.feed()
        running.wait_for_flow()
        with running.client() as client:
            users = {each["user"] for each in client.client_list()}
            client.lpush(running.settings.ingest_queue, call(header, payload))
        assert users == {"telemetry.collector", "telemetry.edge.fault", BREAKER}
        eventually(lambda: "it is not signed" in running.log(), EXACT_S, what="the batch that is not signed is refused")
        counts = running.settle()
        assert (counts["missing"], counts["dead"], running.doubled(counts)) == (0, 0, 0)
