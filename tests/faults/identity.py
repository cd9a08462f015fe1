"""Faults of what tells series and edges apart: settings that change, machines that are called the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from telemetry.progress import machines
from telemetry.progress.keys import Keys
from tests.faults.databases import fold_ledger_and_wipe_broker
from tests.faults.fault import fault
from tests.faults.site import Site, kill_tree
from tests.waiting import eventually

# Of the rows of a feeder with padding.
LABEL = "padding"
# Of sealed days, too.
STORED = "SELECT count(*) FROM readings WHERE gpu = '{gpu}'"


@fault
def change_labels(site: Site, random: Random) -> None:
    """A label becomes volatile, or lasting again, and the edge reads all of its files once more under the new setting."""
    labelled = site.feed(300, name=f"labelled-{len(site.feeders)}", padding=10)
    site.wait_until(lambda: site.committed_bytes(labelled) > 20_000, what="rows with the label stored")
    volatile = {*site.settings.volatile_labels} ^ {LABEL}
    site.variables["TELEMETRY_VOLATILE_LABELS"] = ",".join(sorted(volatile))
    refused = site.start_collector()
    site.collectors.remove(refused)
    assert refused.wait(30) == 1, "a collector with other labels has started"
    site.command("db", "rules", "change", codes=(0,))
    for before in site.collectors[:]:
        before.terminate()
        before.wait()
        site.collectors.remove(before)
        site.start_collector()
    fold_ledger_and_wipe_broker(site, random)


def _first_lines(path: Path) -> list[str]:
    """The header and the first row of a file; nothing yet if it has no row."""
    lines = path.read_text().splitlines(keepends=True)[:2] if path.exists() else []
    return lines if len(lines) == 2 and lines[1].endswith("\n") else []


@fault
def second_machine(site: Site, random: Random) -> None:
    """Another machine has the name of the edge, and a file that begins as one of ours: it waits until it gets its own name."""
    folder = site.directory / f"second-{random.randrange(1 << 32)}"
    folder.mkdir()
    # Another fault may have deleted a file.
    path = next((feeder.path for feeder in site.feeders if feeder.path.exists()), None) or site.feed(300, folder.name).path
    begin = eventually(lambda: _first_lines(path), what="a file has a row")
    rows = [f"2025-07-18T00:00:{n:02}Z,DCGM_FI_DEV_GPU_TEMP,0,GPU-{folder.name},host-1,{n},\n" for n in range(60)]
    (folder / "a.csv").write_text("".join([*begin, *rows]))
    variables = {
        "TELEMETRY_ROLE": "edge",
        "TELEMETRY_SOURCES": str(folder / "*.csv"),
        "TELEMETRY_MACHINE_ID": folder.name,
        "TELEMETRY_STATE_DIR": str(folder / "state"),
        **site.edge_variables,
    }
    worker = ("celery", "-A", site.app, "worker", "--without-gossip", "--without-mingle", "-n", f"{folder.name}@fault")
    keys = Keys(site.settings.key_prefix)
    refused = site.start_process("second", *worker, **variables)
    with site.client() as client:
        eventually(lambda: machines.refused(client, keys, [site.settings.edge]), 30, what="the second machine is refused")
    kill_tree(refused.pid)
    refused.wait()
    variables["TELEMETRY_EDGE"] = f"fault/{folder.name}"
    own = [site.start_process("second", *worker, **variables)]
    own.append(site.start_process("second-beat", "celery", "-A", "telemetry", "beat", **variables))
    eventually(
        lambda: site.count(STORED.format(gpu=f"GPU-{folder.name}")) == len(rows), 30, what="the second machine's file is stored"
    )
    for process in own:
        kill_tree(process.pid)
        process.wait()
    shutil.copy(folder / "a.csv", site.directory / "kept" / f"{folder.name}.csv")
