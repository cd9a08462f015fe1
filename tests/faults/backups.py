"""Faults of Postgres that comes back older: a backup is put back, a standby lags, the whole centre is lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from random import Random

import psycopg

from tests.faults.fault import fault, pause, soak_fault
from tests.faults.site import Site, freeze, thaw


@soak_fault
def restore_backup(site: Site, random: Random) -> None:
    """The files of Postgres are put back as they were some time ago; the newest series are not in them."""
    back_up(site)
    site.feed(1000, name=f"newer-{len(site.feeders)}")
    site.wait_for_flow(5000)
    put_back(site)
    site.postgres.start()


@fault
def lose_the_centre(site: Site, random: Random) -> None:
    """While the edge is cut off, Postgres is put back as it was some time ago, and the broker comes back empty."""
    come_back_older(site, random, rewinds=False)


@soak_fault
def lose_the_centre_and_rewind(site: Site, random: Random) -> None:
    """The same, and `telemetry rewind` is run before the edge is back: it finds no source to set back."""
    come_back_older(site, random, rewinds=True)


def come_back_older(site: Site, random: Random, *, rewinds: bool) -> None:
    """Let the edge find an older database and an empty broker."""
    back_up(site)
    site.wait_for_flow(3000)
    for process in site.edge:
        freeze(process)
    put_back(site)
    with site.client() as client:
        client.flushall()
    site.postgres.start()
    if rewinds:
        rewind(site)
    pause(random)
    for process in site.edge:
        thaw(process)


@fault
def fail_over_to_a_lagging_standby(site: Site, random: Random) -> None:
    """Postgres goes, and a standby that did not get the latest commits is promoted."""
    back_up(site)
    site.wait_for_flow(3000)
    put_back(site)
    (site.postgres.directory / "data" / "standby.signal").touch()
    site.postgres.start()
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")


def back_up(site: Site) -> None:
    """Copy the files of Postgres."""
    data, backup = site.postgres.directory / "data", site.postgres.directory / "backup"
    site.postgres.stop()
    shutil.copytree(data, backup, copy_function=copy_with_owner)
    os.chown(backup, data.stat().st_uid, data.stat().st_gid)
    site.postgres.start()


def put_back(site: Site) -> None:
    """End Postgres and put the copy of its files in their place."""
    data, backup = site.postgres.directory / "data", site.postgres.directory / "backup"
    site.postgres.stop()
    shutil.rmtree(data)
    backup.rename(data)


def rewind(site: Site) -> list[dict[str, object]]:
    """Run `telemetry rewind`; what it set back."""
    rewound: list[dict[str, object]] = json.loads(site.command("rewind", "--json"))["rewound"]
    return rewound


def copy_with_owner(source: str, target: str) -> None:
    """Copy a file with its owner and mode: Postgres refuses those of others."""
    shutil.copy2(source, target)
    status = Path(source).stat()
    os.chown(target, status.st_uid, status.st_gid)
