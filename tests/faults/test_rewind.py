"""A database restored from a backup taken a while ago, under running edges: `telemetry rewind` makes them send again."""

from __future__ import annotations

from random import Random

from tests.faults.breaking import SOAK_FAULTS
from tests.faults.databases import rewind
from tests.faults.site import site


def test_a_database_restored_from_a_backup_is_filled_again() -> None:
    with site() as running:
        running.feed()
        running.wait_for_flow()
        assert rewind(running) == []
        SOAK_FAULTS["restore_backup"](running, Random(0))  # noqa: S311
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"]) == (0, 0, 0)
        assert counts["stored"] > 5000
