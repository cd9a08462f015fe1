"""Faults of Postgres: gone, full, locked, refusing. One that comes back older is `backups`'."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from random import Random
from typing import Any

import psutil
import psycopg
from sqlalchemy.exc import OperationalError

from telemetry.store.engine import make_engine
from telemetry.store.upkeep import sealing
from telemetry.store.upkeep.ledger_folding import fold
from tests.faults.fault import SkipError, fault, pause, soak_fault
from tests.faults.feeder import BEGIN
from tests.faults.site import Site
from tests.faults.volumes import fill, small_volume
from tests.waiting import eventually

SLOW_DOWN = """
    CREATE FUNCTION slow_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
    CREATE TRIGGER slow_down AFTER INSERT ON batches FOR EACH STATEMENT EXECUTE FUNCTION slow_down()
"""

# Room for the log that the server keeps in any case.
VOLUME_MB = 1024
# The share of a sealer's steps that are not cut off.
KEPT = 0.8

END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'telemetry-collector'"
WRITING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'telemetry-collector' AND backend_xid IS NOT NULL"


@fault
def stop_database_fast(site: Site, random: Random) -> None:
    """A fast shutdown of Postgres, and a start."""
    site.postgres.stop()
    pause(random, 3)
    site.postgres.start()


@fault
def kill_backend(site: Site, random: Random) -> None:
    """SIGKILL one backend of Postgres: the server drops all others and recovers."""
    assert site.postgres.pid is not None
    for each in psutil.Process(site.postgres.pid).children():
        # Some end by themselves while they are looked at.
        with suppress(psutil.NoSuchProcess):
            if "idle" in "".join(each.cmdline()):
                each.kill()
                break
    pause(random)


@fault
def freeze_backend(site: Site, random: Random) -> None:
    """One backend hangs in a collector's transaction, as a bad disk does it, for longer than locks are waited for."""
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        frozen = eventually(lambda: _frozen_in_transaction(connection), 20, every_s=0.001, what="a transaction that is frozen")
        assert frozen is not None
    try:
        time.sleep(site.settings.lock_timeout_s + random.uniform(3, 8))
    finally:
        frozen.resume()


def _frozen_in_transaction(connection: psycopg.Connection[Any]) -> psutil.Process | None:
    """Stop a backend that has written something and not committed it; None if it did meanwhile."""
    for (pid,) in connection.execute(WRITING).fetchall():
        backend = psutil.Process(pid)
        backend.suspend()
        if (pid,) in connection.execute(WRITING).fetchall():
            return backend
        backend.resume()
    return None


@fault
def stop_database_immediately(site: Site, random: Random) -> None:
    """An immediate shutdown of Postgres: no farewell to anyone, a recovery at the start."""
    assert site.postgres.pid is not None
    os.kill(site.postgres.pid, signal.SIGQUIT)
    pause(random)
    site.postgres.stop()
    site.postgres.start()


@fault
def kill_postmaster(site: Site, random: Random) -> None:
    """SIGKILL Postgres' main process: its backends find out by themselves."""
    site.postgres.kill()
    pause(random)
    site.postgres.stop()
    site.postgres.start()


@fault
def kill_postmaster_that_commits_late(site: Site, random: Random) -> None:
    """The server's default is `synchronous_commit=off`, with its log written every 10 s, and Postgres is SIGKILLed."""
    changes = {"synchronous_commit": "off", "wal_writer_delay": "10s"}
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        for name, value in changes.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        connection.execute("SELECT pg_reload_conf()")
    site.wait_for_flow(1000)
    kill_postmaster(site, random)
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        for name in changes:
            connection.execute(f"ALTER SYSTEM RESET {name}".encode())
        connection.execute("SELECT pg_reload_conf()")


@fault
def end_sessions(site: Site, random: Random) -> None:
    """An administrator ends all sessions, several times."""
    for _ in range(10):
        with psycopg.connect(site.postgres.url, autocommit=True) as connection:
            connection.execute(END_SESSIONS)
        pause(random, 0.4)


@fault
def take_all_connections(site: Site, random: Random) -> None:
    """Others hold every connection Postgres has, after the collectors' were ended."""
    held = []
    try:
        with psycopg.connect(site.postgres.url, autocommit=True) as connection:
            connection.execute(END_SESSIONS)
        while True:
            held.append(psycopg.connect(site.postgres.url))
    except psycopg.OperationalError:
        time.sleep(3)
    finally:
        for connection in held:
            connection.close()


@fault
def detach_partitions(site: Site, random: Random) -> None:
    """An operator detaches the partition of what is read just now, some times, as the first step to drop it.

    One of which no more readings come stays detached, as it was meant to.
    """
    for _ in range(3):
        with psycopg.connect(site.postgres.url, autocommit=True) as connection:
            partitions = connection.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits"
                " WHERE inhparent = 'samples'::regclass AND starts_with(inhrelid::regclass::text, %s)",
                [f"samples_{BEGIN:%Y%m}"],
            )
            for (name,) in partitions.fetchall():
                connection.execute(f"ALTER TABLE samples DETACH PARTITION {name}".encode())
        pause(random)


@fault
def lock_tables(site: Site, random: Random) -> None:
    """A long migration locks the ledger and the samples for longer than the lock timeout."""
    with psycopg.connect(site.postgres.url) as connection:
        # Postgres may end either side of a deadlock, and a migration is begun again.
        eventually(lambda: _locked(connection), what="the tables are locked")
        time.sleep(site.settings.lock_timeout_s + 1)


def _locked(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("LOCK TABLE batches, samples IN ACCESS EXCLUSIVE MODE")
    except psycopg.errors.DeadlockDetected:
        connection.rollback()
        return False
    return True


@fault
def refuse_writes(site: Site, random: Random) -> None:
    """Postgres refuses every write for a while, as with a full disk."""
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(4)
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")


FAIL_AT_RANDOM = """
    CREATE FUNCTION fail_at_random() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF random() < 0.6 THEN
            RAISE EXCEPTION USING MESSAGE = 'made to fail',
                ERRCODE = (ARRAY['40P01', '40001', '53100', '53200', '58030'])[1 + floor(random() * 5)];
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER fail_at_commit AFTER INSERT ON batches DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION fail_at_random();
    CREATE TRIGGER fail_at_insert AFTER INSERT ON samples FOR EACH STATEMENT EXECUTE FUNCTION fail_at_random()
"""


@fault
def fail_transactions(site: Site, random: Random) -> None:
    """Most transactions fail, some at COMMIT: deadlock, serialization failure, disk full, out of memory, I/O error."""
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        connection.execute(FAIL_AT_RANDOM)
        time.sleep(4)
        connection.execute("DROP FUNCTION fail_at_random CASCADE")


@soak_fault
def slow_database(site: Site, random: Random) -> None:
    """Every transaction takes half a second longer for a while."""
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        connection.execute(SLOW_DOWN)
        time.sleep(10)
        connection.execute("DROP FUNCTION slow_down CASCADE")


@soak_fault
def fill_disk(site: Site, random: Random) -> None:
    """The file system under the ledger is full, and has room again."""
    place = site.directory / "small"
    place.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", str(place)], check=False).returncode:
        raise SkipError("no file system can be mounted here")
    try:
        owner = (site.postgres.directory / "data").stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        with psycopg.connect(site.postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
            connection.execute("ALTER TABLE batches SET TABLESPACE small")
            with suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
                while filler.write(bytes(1 << 12)):
                    pass
            time.sleep(6)
            (place / "filler").unlink()
            connection.execute("ALTER TABLE batches SET TABLESPACE pg_default")
            connection.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


@soak_fault
def fill_disk_of_database(site: Site, random: Random) -> None:
    """All of Postgres' files stand on a file system that is full, and has room again. Postgres may have ended meanwhile."""
    with small_volume(site.postgres, VOLUME_MB) as volume:
        site.wait_for_flow(500)
        filler = fill(volume)
        time.sleep(random.uniform(8, 12))
        filler.unlink()
        if site.postgres.pid is None:
            site.postgres.stop()
            site.postgres.start()
        site.wait_for_flow(500)


@fault
def fold_ledger_and_wipe_broker(site: Site, random: Random) -> None:
    """The ledger has folded all it holds when the broker loses its keys: what is read again is known by its rows alone."""
    engine = make_engine(site.settings, application="fold")
    for _ in range(2):
        with engine.begin() as connection:
            fold(connection, 0)
        pause(random)
    engine.dispose()
    with site.client() as client:
        client.flushall()


@fault
def seal_and_wipe_broker(site: Site, random: Random) -> None:
    """Days are sealed while rows of them flow, some steps are cut off, and what is read again is known by the arrays alone."""
    engine = make_engine(site.settings, application="seal")
    for _ in range(8):
        with suppress(OperationalError, psycopg.errors.LockNotAvailable), engine.connect() as connection:
            sealing.step_at_once(connection, sealing.today(connection) + 2, 2000)
            if random.random() < KEPT:
                connection.commit()
        pause(random, 0.3)
    engine.dispose()
    with site.client() as client:
        client.flushall()


@fault
def deadlock(site: Site, random: Random) -> None:
    """Somebody locks the tables in the other order, again and again: Postgres ends one of the two, theirs or ours."""
    for _ in range(4):
        with suppress(psycopg.errors.DeadlockDetected), psycopg.connect(site.postgres.url) as connection:
            connection.execute("SET deadlock_timeout = '3s'")
            connection.execute("LOCK TABLE samples IN SHARE MODE")
            pause(random, 0.3)
            connection.execute("LOCK TABLE batches IN SHARE MODE")
            connection.rollback()
