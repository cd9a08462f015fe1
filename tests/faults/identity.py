"""Faults of what tells series and edges apart: settings that change while rows flow."""

from __future__ import annotations

import os
import subprocess
from random import Random

from tests.faults.databases import fold_ledger_and_wipe_broker
from tests.faults.fault import fault
from tests.faults.site import BIN, Site
from tests.waiting import eventually

# Of the rows of a feeder with padding.
LABEL = "padding"


@fault
def change_labels(site: Site, random: Random) -> None:
    """A label becomes volatile, or lasting again, and the edge reads all of its files once more under the new setting."""
    labelled = site.feed(300, name=f"labelled-{len(site.feeders)}", padding=10)
    eventually(lambda: site.committed_bytes(labelled) > 20_000, 30, every_s=0.1, what="rows with the label stored")
    volatile = {*site.settings.volatile_labels} ^ {LABEL}
    site.variables["TELEMETRY_VOLATILE_LABELS"] = ",".join(sorted(volatile))
    refused = site.start_collector()
    site.collectors.remove(refused)
    assert refused.wait(30) == 1, "a collector with other labels has started"
    done = subprocess.run(
        [str(BIN / "telemetry"), "db", "rules", "change"],
        env={**os.environ, **site.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for before in site.collectors[:]:
        before.terminate()
        before.wait()
        site.collectors.remove(before)
        site.start_collector()
    fold_ledger_and_wipe_broker(site, random)
