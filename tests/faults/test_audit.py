"""What somebody deletes or forges behind everybody's back is noticed and healed within the audit's interval."""

from __future__ import annotations

import time
from random import Random

import pytest

from tests.faults.breaking import SOAK_FAULTS
from tests.faults.site import site

# The exporter of these sites looks every 0.5 s, and rests 110 times as long as a look took.
INTERVAL_S = 30.0
SETTLED = "SELECT count(*) FROM shortfalls WHERE settled_at IS NOT NULL"
OPEN = "SELECT count(*) FROM shortfalls WHERE settled_at IS NULL"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_samples_ledger_rows_and_acknowledgements_are_healed() -> None:
    with site() as running:
        running.feed(1000)
        running.wait_for_flow()
        for name in ("delete_samples", "delete_ledger_rows", "forge_acks"):
            begun_s = time.monotonic()
            SOAK_FAULTS[name](running, Random(name))  # noqa: S311
            running.wait_for_flow(500)
            assert time.monotonic() - begun_s < INTERVAL_S, name
        running.wait_until(lambda: running.count(OPEN) == 0 < running.count(SETTLED), "the shortfall is settled")
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"]) == (0, 0, 0)
        assert running.doubled(counts) == 0
