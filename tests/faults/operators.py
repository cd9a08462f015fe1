"""What operators do while rows flow: steps of the runbooks, and changes of settings."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from tests.faults.backups import rewind
from tests.faults.databases import fold_ledger_and_wipe_broker
from tests.faults.fault import fault, pause, soak_fault
from tests.faults.files import rotate_file
from tests.faults.poisons import push_all
from tests.faults.processes import roll_everything
from tests.faults.site import Site

OTHER_SETTINGS = (
    {"TELEMETRY_BATCH_SIZE": "20", "TELEMETRY_CATCH_UP_SIZE": "200"},
    {"TELEMETRY_COLLECTOR_BATCH_SIZE": "100"},
    {"TELEMETRY_WINDOW_BYTES": str(200 << 10)},
    {"TELEMETRY_STREAM_INTERVAL_S": "1"},
)

OLD, KEPT_SINCE = datetime(2024, 3, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
DROPPED = "SELECT count(*) FROM retention WHERE level = 'samples' AND kept_since IS NOT NULL"


@fault
def rewind_in_mid_stream(site: Site, random: Random) -> None:
    """Somebody runs `telemetry rewind`, twice, where nothing is missing (runbook LedgerGap)."""
    for _ in range(2):
        rewind(site)
        pause(random)


@fault
def ingest_beside(site: Site, random: Random) -> None:
    """Somebody runs `telemetry ingest` on a file that the edge reads, and that is rotated meanwhile (runbook EdgeLost)."""
    path = site.feeders[-1].path
    if path.exists():
        site.command("ingest", str(path), "--timeout", "20", "--json")
    rotate_file(site, random)
    site.command("ingest", str(site.directory / "sources"), "--timeout", "20", "--json")


@soak_fault
def retry_dead_letters(site: Site, random: Random) -> None:
    """Strangers push what is no batch, and somebody has all dead letters stored again, and the quarantine judged again."""
    with site.client() as client:
        push_all(client, site.settings)
    pause(random, 3)
    site.command("deadletter", "retry", "--all")
    site.command("quarantine", "retry")


@soak_fault
def change_settings(site: Site, random: Random) -> None:
    """Sizes of batches or the window change, and everything is started anew under load."""
    changes = random.choice(OTHER_SETTINGS)
    before = {name: site.variables.get(name) for name in changes}
    site.variables |= changes
    roll_everything(site, random)
    site.wait_for_flow(500)
    for name, value in before.items():
        if value is None:
            del site.variables[name]
        else:
            site.variables[name] = value
    roll_everything(site, random)


@soak_fault
def drop_old_days(site: Site, random: Random) -> None:
    """An operator drops what is older than a time, while a file is read whose readings are older; then all is read again."""
    old = site.feed(300, name=f"old-{len(site.feeders)}", begin=OLD)
    site.wait_until(lambda: site.committed_bytes(old) > 20_000, what="old readings stored")
    days = str((datetime.now(UTC) - KEPT_SINCE).days)

    def is_dropped() -> bool:
        site.command("db", "retention", "--days", days, "--yes")
        return site.count(DROPPED) == 1

    site.wait_until(is_dropped, what="the old days dropped", every_s=1)
    pause(random)
    fold_ledger_and_wipe_broker(site, random)
