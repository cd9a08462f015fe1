"""What docs/DISASTER.md says is done here: a centre that moves, a database from its backups, an edge on a new machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telemetry.local.servers import Postgres, Valkey
from telemetry.local.servers.postgres import program
from tests.faults.site import UNSAFE_POSTGRES, Site, kill_tree, site
from tests.standby import REPLICATED, ask
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(tool: str, *args: object) -> None:
    """One of Postgres' own programs, of the server's version."""
    done = subprocess.run([program("postgres").with_name(tool), *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def end_processes(running: Site) -> None:
    for process in [*running.edge, *running.collectors]:
        kill_tree(process.pid)
        process.wait()
    running.edge.clear()
    running.collectors.clear()


def start_processes(running: Site, machine: str = "one") -> None:
    running.edge_variables["TELEMETRY_MACHINE_ID"] = machine
    running.start_collector()
    running.start_beat()
    running.start_streamer()


def is_exact(running: Site) -> None:
    counts = running.settle()
    assert (counts["missing"], counts["extra"], counts["dead"]) == (0, 0, 0)
    assert running.doubled(counts) == 0


@contextmanager
def flowing() -> Iterator[Site]:
    with site(collectors=1, with_standby=True) as running:
        running.feed(1000)
        running.wait_for_flow(2000)
        yield running


def test_a_centre_moves_by_a_dump_and_with_an_empty_broker() -> None:
    with flowing() as running:
        dump = running.directory / "telemetry.dump"
        run("pg_dump", "--format=custom", "--file", dump, running.postgres.url)
        # Committed after the dump: the new centre does not have it.
        running.wait_for_flow(3000)
        end_processes(running)
        running.postgres.stop()
        running.valkey.kill()
        directory = running.directory
        with (
            Postgres(directory / "new-postgres", {**UNSAFE_POSTGRES, **REPLICATED}) as postgres,
            Valkey(directory / "new-valkey", {"save": ""}) as valkey,
        ):
            run("pg_restore", "--no-owner", "--exit-on-error", "--jobs=2", "--dbname", postgres.url, dump)
            running.postgres, running.valkey = postgres, valkey
            running.variables |= {"TELEMETRY_DATABASE_URL": postgres.url, "TELEMETRY_BROKER_URL": valkey.url}
            start_processes(running)
            running.wait_for_flow()
            is_exact(running)
            end_processes(running)


def test_a_database_comes_back_from_a_base_backup_and_the_archive() -> None:
    with flowing() as running:
        postgres, archive = running.postgres, running.postgres.directory / "archive"
        archive.mkdir()
        for setting in ("archive_mode = 'on'", f"archive_command = 'cp %p {archive}/%f'"):
            run("psql", "--quiet", "--command", f"ALTER SYSTEM SET {setting}", postgres.url)
        # It is told at its start only, and its directory is given to its user then.
        postgres.stop()
        postgres.start()
        running.wait_for_flow(500)
        backup = running.directory / "base"
        run("pg_basebackup", "--dbname", postgres.url, "--pgdata", backup, "--checkpoint=fast", "--wal-method=none")
        run("pg_verifybackup", "--no-parse-wal", backup)
        running.wait_for_flow(2000)
        segment = str(ask(postgres, "SELECT pg_walfile_name(pg_switch_wal())"))
        eventually((archive / segment).exists, 30, what="the last segment in the archive")
        # The archive never gets this.
        running.wait_for_flow(2000)
        postgres.kill()
        data = postgres.directory / "data"
        shutil.rmtree(data)
        backup.rename(data)
        (data / "recovery.signal").touch()
        with (data / "postgresql.auto.conf").open("a") as file:
            file.write(f"restore_command = 'cp {archive}/%f %p'\n")
        postgres.start()
        eventually(lambda: ask(postgres, "SELECT NOT pg_is_in_recovery()"), 30, what="the end of the recovery")
        running.wait_for_flow()
        is_exact(running)


def test_an_edge_goes_on_from_another_machine() -> None:
    with flowing() as running:
        end_processes(running)
        # The disk of the new machine has the files, and nothing that the streamer kept.
        shutil.rmtree(Path(running.directory / "state"))
        start_processes(running, machine="another")
        running.wait_for_flow()
        is_exact(running)
