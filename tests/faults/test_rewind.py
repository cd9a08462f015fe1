"""A database restored from a backup taken a while ago, under running edges: `telemetry rewind` makes them send again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.faults.site import BIN, Site, site


def rewind(running: Site) -> list[dict[str, object]]:
    done = subprocess.run(
        [str(BIN / "telemetry"), "rewind", "--json"],
        env={**os.environ, **running.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)["rewound"]
    return found


def test_a_database_restored_from_a_backup_is_filled_again() -> None:
    with site() as running:
        running.feed()
        running.wait_for_flow()
        assert rewind(running) == []
        data, backup = running.postgres.directory / "data", running.postgres.directory / "backup"
        running.postgres.stop()
        shutil.copytree(data, backup, copy_function=copy_with_owner)
        os.chown(backup, data.stat().st_uid, data.stat().st_gid)
        running.postgres.start()
        # Series that the backup does not know: the collectors hold ids of them that it will give to others.
        running.feed(name="b")
        running.wait_for_flow(5000)
        running.postgres.stop()
        shutil.rmtree(data)
        backup.rename(data)
        running.postgres.start()
        running.wait_for_flow(500)
        # May find nothing to set back, when the edge has not yet collected the acknowledgements of what was forgotten.
        rewind(running)
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"]) == (0, 0, 0)
        assert counts["stored"] > 5000


def copy_with_owner(source: str, target: str) -> None:
    """Copy a file with its owner and mode: Postgres refuses those of others."""
    shutil.copy2(source, target)
    status = Path(source).stat()
    os.chown(target, status.st_uid, status.st_gid)
