"""An edge whose clock is wrong by hours: nothing but log lines may depend on it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.faults.breaking import FAULTS
from tests.faults.clocks import SITECUSTOMIZE
from tests.faults.site import site


@pytest.mark.parametrize("hours", [5, -5])
def test_the_clock_of_an_edge_may_be_wrong_by_hours(tmp_path: Path, hours: int) -> None:
    witness = tmp_path / "witness"
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE.format(shift_s=hours * 3600, witness=str(witness)))
    with site(streamers=0) as running:
        # Beat's clock is right: nothing may depend on the two agreeing either.
        running.edge_variables["PYTHONPATH"] = str(tmp_path)
        running.start_streamer()
        running.feed()
        running.wait_for_flow()
        # Batches that must come again, by ages the edge has taken.
        FAULTS["lose_queued_messages"](running, Random(hours))  # noqa: S311
        running.wait_for_flow(500)
        counts = running.settle()
        assert (counts["missing"], counts["dead"], running.doubled(counts)) == (0, 0, 0)
        assert counts["stored"] > 1000
        latency = "SELECT count(*) FROM batches WHERE committed_at - published_at NOT BETWEEN '0' AND '1 minute'"
        assert running.count(latency) == 0
    assert "imported" in witness.read_text()
