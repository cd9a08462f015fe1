"""Faults of the broker, and of what it holds."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import redis
from redis.utils import str_if_bytes

from telemetry.local.servers import Valkey
from tests.faults.fault import fault, pause, soak_fault
from tests.faults.poisons import push_all
from tests.faults.secured import BREAKER
from tests.faults.site import Site, freeze, thaw
from tests.faults.volumes import fill, small_volume
from tests.waiting import eventually

VOLUME_MB = 128
QUEUE = "telemetry.ingest"
# Few enough for a window to hold.
SOME = 5


@fault
def kill_broker(site: Site, random: Random) -> None:
    """SIGKILL the broker; it comes back with what its append-only file holds."""
    site.valkey.kill()
    pause(random)
    site.valkey.start()


@fault
def wipe_broker(site: Site, random: Random) -> None:
    """FLUSHALL in mid-stream."""
    with site.client() as client:
        client.flushall()


@fault
def lose_broker_files(site: Site, random: Random) -> None:
    """SIGKILL the broker and lose its disk."""
    site.valkey.kill()
    lose_files(site.valkey)
    pause(random)
    site.valkey.start()


def lose_files(server: Valkey) -> None:
    """Remove all that a server that is down has on its disk."""
    for path in sorted((server.directory / "data").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def copy(directory: Path, to: Path) -> None:
    """Copy a directory that is being written to: owners and modes stay, files that vanish meanwhile are passed over."""
    subprocess.run(["cp", "-a", str(directory), str(to)], check=False, stderr=subprocess.DEVNULL)


@fault
def restore_old_broker(site: Site, random: Random) -> None:
    """SIGKILL the broker and start it with a copy of its files from some seconds ago."""
    data, old = site.valkey.directory / "data", site.valkey.directory / "old"
    copy(data, old)
    time.sleep(3)
    site.valkey.kill()
    shutil.rmtree(data)
    old.rename(data)
    site.valkey.start()


@fault
def freeze_broker(site: Site, random: Random) -> None:
    """SIGSTOP the broker: connections stay, answers do not come."""
    assert site.valkey.pid is not None
    os.kill(site.valkey.pid, signal.SIGSTOP)
    time.sleep(random.uniform(1, 12))
    os.kill(site.valkey.pid, signal.SIGCONT)


@fault
def fill_broker(site: Site, random: Random) -> None:
    """The broker runs out of memory under noeviction, and gets some back."""
    with site.client() as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", int(used) - 100_000)
        time.sleep(4)
        client.config_set("maxmemory", 0)


@soak_fault
def fill_broker_for_long(site: Site, random: Random) -> None:
    """The same for longer than a collector tries in its process."""
    with site.client() as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 100_000)
        time.sleep(25)
        client.config_set("maxmemory", 0)


@soak_fault
def fill_disk_of_broker(site: Site, random: Random) -> None:
    """The append-only file of the broker stands on a file system that is full, and has room again. It may be spoilt then."""
    with small_volume(site.valkey, VOLUME_MB, lose_files) as volume:
        site.wait_for_flow(500)
        filler = fill(volume)
        time.sleep(random.uniform(10, 20))
        filler.unlink()
        site.wait_for_flow(500)


@fault
def evict_keys(site: Site, random: Random) -> None:
    """Twelve times the broker runs out of memory and drops keys, whichever they are, as it was set to allkeys-lru."""
    with site.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            for _ in range(12):
                used = int(client.info("memory")["used_memory"])
                client.config_set("maxmemory", used - random.choice((20_000, 100_000, used)))
                pause(random, 0.5)
                client.config_set("maxmemory", 0)
                pause(random, 0.5)
        finally:
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")


@fault
def refuse_clients(site: Site, random: Random) -> None:
    """Others have all the connections that the broker takes: ours were ended, and no new one comes in."""
    with site.client() as client:
        before = client.config_get("maxclients")["maxclients"]
        client.config_set("maxclients", 1)
        client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(random.uniform(4, 8))
        client.config_set("maxclients", before)


@fault
def turn_users_away(site: Site, random: Random) -> None:
    """Somebody turns all users of the broker off and ends their connections, and puts things right some seconds later."""
    with site.client() as client:
        users = {str_if_bytes(user) for user in client.acl_users()} - {BREAKER}
        for user in users:
            client.execute_command("ACL", "SETUSER", user, "off")
        client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(random.uniform(4, 8))
        for user in users:
            client.execute_command("ACL", "SETUSER", user, "on")


@fault
def cut_connections(site: Site, random: Random) -> None:
    """Every connection to the broker is cut, forty times."""
    with site.client() as client:
        for _ in range(40):
            client.client_kill_filter(_type="normal", skipme=True)
            pause(random, 0.1)


@fault
def lose_acks(site: Site, random: Random) -> None:
    """Acknowledgements vanish before the edge has fetched them."""
    with site.client() as client:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            for key in client.scan_iter("telemetry:acks:*"):
                client.delete(key)


@contextmanager
def queued(site: Site) -> Iterator[redis.Redis]:
    """While messages are on the queue, because all collectors are frozen."""
    for each in site.collectors:
        freeze(each)
    try:
        with site.client() as client:
            # The edge may be cut off meanwhile, by the fault that strikes beside.
            eventually(lambda: client.llen(QUEUE) >= SOME, 60, what="messages on the queue")
            yield client
    finally:
        for each in site.collectors:
            thaw(each)


@fault
def lose_queued_messages(site: Site, random: Random) -> None:
    """The queue and the unacknowledged set vanish, some times, while messages are there."""
    for _ in range(3):
        with queued(site) as client:
            client.delete(QUEUE, "telemetry.unacked.central", "telemetry.unacked_index.central")
        pause(random, 0.5)


@fault
def double_messages(site: Site, random: Random) -> None:
    """Each message in the queue is there twice, and once more when it is long stored."""
    with queued(site) as client:
        # Once each: to double the copies too would be another fault, an avalanche.
        kept = client.lrange(QUEUE, 0, -1)
        client.lpush(QUEUE, *kept)
    pause(random, 3)
    with site.client() as client:
        client.lpush(QUEUE, *kept[:50])


@soak_fault
def push_giants(site: Site, random: Random) -> None:
    """Strangers push messages of 60 MB."""
    giant = b'{"body": "' + b"A" * (60 << 20) + b'"}'
    with site.client() as client:
        for _ in range(4):
            client.lpush(QUEUE, giant)


@fault
def poison(site: Site, random: Random) -> None:
    """Strangers push what is no batch: other tasks, pickles, damaged bodies, bombs."""
    with site.client() as client:
        push_all(client, site.settings)
