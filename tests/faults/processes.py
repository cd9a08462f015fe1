"""Faults of our own processes: killed, frozen, rolled."""

from __future__ import annotations

import subprocess
import time
from random import Random

import psycopg

from telemetry.collector.attempts import MAX_ATTEMPTS
from tests.faults.brokers import queued
from tests.faults.fault import fault, pause, soak_fault
from tests.faults.site import EXACT_S, Site, children, freeze, kill_tree, thaw
from tests.waiting import eventually

HOLD_TRANSACTIONS = """
    SELECT pg_advisory_lock(4711);
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
    CREATE TRIGGER hold AFTER INSERT ON batches FOR EACH STATEMENT EXECUTE FUNCTION hold()
"""
HELD = """
    SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND application_name = 'telemetry-collector'
"""


@fault
def kill_collector(site: Site, random: Random) -> None:
    """SIGKILL a collector's main process, and its pool with it."""
    victim = site.collectors.pop(random.randrange(len(site.collectors)))
    kill_tree(victim.pid)
    victim.wait()
    site.start_collector()


@fault
def kill_collector_main_only(site: Site, random: Random) -> None:
    """SIGKILL the main process alone: its pool finds out by itself."""
    victim = site.collectors.pop(random.randrange(len(site.collectors)))
    orphans = children(victim)
    victim.kill()
    victim.wait()
    pause(random)
    for orphan in orphans:
        kill_tree(orphan.pid)
    site.start_collector()


@fault
def kill_pool_children(site: Site, random: Random) -> None:
    """SIGKILL pool children, likely in the middle of a transaction."""
    for _ in range(4):
        victims = children(random.choice(site.collectors))
        if victims:
            random.choice(victims).kill()
        pause(random, 0.5)


@fault
def kill_pool_in_transaction(site: Site, random: Random) -> None:
    """SIGKILL pool children that are in the middle of a transaction, for sure: a lock holds them behind their COPY."""
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        connection.execute(HOLD_TRANSACTIONS)
        try:
            eventually(lambda: connection.execute(HELD).fetchone() != (0,), 10, what="a transaction that waits")
            for child in [child for each in site.collectors for child in children(each)]:
                child.kill()
        finally:
            connection.execute("SELECT pg_advisory_unlock_all()")
            connection.execute("DROP FUNCTION hold CASCADE")


@soak_fault
def kill_collectors_that_wait(site: Site, random: Random) -> None:
    """The database takes no batch, and all collectors are SIGKILLed more often than a batch is forgiven."""
    with psycopg.connect(site.postgres.url) as connection:
        connection.execute("LOCK TABLE batches IN ACCESS EXCLUSIVE MODE")
        for _ in range(MAX_ATTEMPTS + 2):
            # Long enough for the messages of the killed to be delivered again, and to be fetched.
            time.sleep(site.settings.visibility_timeout_s + 3)
            for victim in list(site.collectors):
                kill_tree(victim.pid)
                victim.wait()
                site.collectors.remove(victim)
                site.start_collector()


@fault
def freeze_collector(site: Site, random: Random) -> None:
    """SIGSTOP a collector with a fetch pending; it goes on after its messages were delivered again."""
    victim = random.choice(site.collectors)
    freeze(victim)
    time.sleep(site.settings.visibility_timeout_s + 2)
    thaw(victim)


@fault
def kill_streamer(site: Site, random: Random) -> None:
    """SIGKILL the streamer, wherever it is between reading, saving and publishing."""
    for _ in range(3):
        victim = site.edge.pop()
        kill_tree(victim.pid)
        victim.wait()
        site.start_streamer()
        pause(random, 4)


@fault
def kill_streamer_before_checkpoint(site: Site, random: Random) -> None:
    """SIGKILL the streamer when what it has published is stored and acknowledged, and it has not noted that, for sure."""
    victim = site.edge[-1]
    with queued(site):
        freeze(victim)
    with site.client() as client:
        eventually(lambda: any(client.scan_iter("telemetry:acks:*")), 10, what="acknowledgements that nobody collects")
    kill_tree(victim.pid)
    victim.wait()
    site.edge.remove(victim)
    site.start_streamer()


@soak_fault
def add_streamer(site: Site, random: Random) -> None:
    """Two streamers at the same files, until one of them is told to end."""
    site.start_streamer()
    pause(random, 8)
    victim = site.edge.pop(random.choice((-1, -2)))
    victim.terminate()
    victim.wait()


@fault
def kill_beat(site: Site, random: Random) -> None:
    """SIGKILL beat."""
    victim = site.edge.pop(0)
    kill_tree(victim.pid)
    victim.wait()
    pause(random)
    site.start_beat()


@fault
def freeze_streamer(site: Site, random: Random) -> None:
    """SIGSTOP a streamer until another has taken its sources; then it goes on with what it believes to own."""
    victim = site.edge[-1]
    other = site.start_streamer()
    pause(random)
    freeze(victim)
    time.sleep(site.settings.lease_s + 2)
    thaw(victim)
    pause(random)
    site.edge.remove(other)
    other.terminate()
    other.wait(EXACT_S)


@fault
def roll_everything(site: Site, random: Random) -> None:
    """A rolling restart of every process under load: as soon as a new one is there, the old one is told to end."""
    old = [*site.collectors, *site.edge]
    for each in list(site.collectors):
        site.start_collector()
        site.collectors.remove(each)
        pause(random, 3)
        each.terminate()
    for each in site.edge:
        each.terminate()
        _see_end(each)
    site.edge.clear()
    site.start_beat()
    site.start_streamer()
    for each in old:
        _see_end(each)


def _see_end(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process that was told to end has ended. Kill it after its time, as the kubelet does."""
    try:
        process.wait(EXACT_S)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        process.wait()
