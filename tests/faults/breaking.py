"""The faults: each takes a running site, breaks something of it while rows flow, and heals it.

A fault returns when the system is whole again, as far as an operator would make it so; the rest it must do by itself.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from random import Random

import psutil
import psycopg

from tests.faults.site import Site, children, freeze, kill_tree, thaw

Fault = Callable[[Site, Random], None]
END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'telemetry-collector'"
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    """Enter a fault in the list, under its name."""
    FAULTS[function.__name__] = function
    return function


def pause(random: Random, most_s: float = 1.0) -> None:
    """Let a little time pass, a random one: faults must not fall on the same moment of a tick each time."""
    time.sleep(random.uniform(0.05, most_s))


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
    other.wait()


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
    for path in sorted((site.valkey.directory / "data").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    pause(random)
    site.valkey.start()


@fault
def restore_old_broker(site: Site, random: Random) -> None:
    """SIGKILL the broker and start it with a copy of its files from some seconds ago."""
    data, old = site.valkey.directory / "data", site.valkey.directory / "old"
    os.system(f"cp -r '{data}' '{old}'")  # noqa: S605
    time.sleep(3)
    site.valkey.kill()
    os.system(f"rm -rf '{data}'; mv '{old}' '{data}'")  # noqa: S605
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


@fault
def lose_acks(site: Site, random: Random) -> None:
    """Acknowledgements vanish before the edge has fetched them."""
    with site.client() as client:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            for key in client.scan_iter("telemetry:acks:*"):
                client.delete(key)


@fault
def lose_queued_messages(site: Site, random: Random) -> None:
    """The queue and the unacknowledged set vanish, as between a fetch and the note of it."""
    with site.client() as client:
        for _ in range(10):
            client.delete("telemetry.ingest", "telemetry.unacked.central", "telemetry.unacked_index.central")
            pause(random, 0.2)


@fault
def double_messages(site: Site, random: Random) -> None:
    """Each message in the queue is there twice, some much later."""
    kept: dict[bytes | str, None] = {}
    with site.client() as client:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            for message in client.lrange("telemetry.ingest", 0, -1):
                # Once each: to double the copies too would be another fault, an avalanche.
                if message not in kept:
                    kept[message] = None
                    client.lpush("telemetry.ingest", message)
            pause(random, 0.05)
        for message in list(kept)[:50]:
            client.lpush("telemetry.ingest", message)


@fault
def cut_connections(site: Site, random: Random) -> None:
    """Every connection to the broker is cut, forty times."""
    with site.client() as client:
        for _ in range(40):
            client.client_kill_filter(_type="normal", skipme=True)
            pause(random, 0.1)


@fault
def stop_database_fast(site: Site, random: Random) -> None:
    """A fast shutdown of Postgres, and a start."""
    site.postgres.stop()
    pause(random, 3)
    site.postgres.start()


@fault
def kill_database(site: Site, random: Random) -> None:
    """SIGKILL one backend of Postgres: the server drops all others and recovers."""
    assert site.postgres.pid is not None
    backends = [each for each in psutil.Process(site.postgres.pid).children() if "idle" in "".join(each.cmdline())]
    if backends:
        backends[0].kill()
    pause(random)


@fault
def end_sessions(site: Site, random: Random) -> None:
    """An administrator ends all sessions, several times."""
    for _ in range(10):
        with psycopg.connect(site.postgres.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'telemetry-collector'"
            )
        pause(random, 0.4)


@fault
def take_all_connections(site: Site, random: Random) -> None:
    """Others hold every connection Postgres has, after the collectors' were ended."""
    held = []
    try:
        with psycopg.connect(site.postgres.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'telemetry-%'"
            )
        while True:
            held.append(psycopg.connect(site.postgres.url))
    except psycopg.OperationalError:
        time.sleep(3)
    finally:
        for connection in held:
            connection.close()


@fault
def lock_tables(site: Site, random: Random) -> None:
    """A long migration locks the ledger and the samples for longer than the lock timeout."""
    with psycopg.connect(site.postgres.url) as connection:
        connection.execute("LOCK TABLE batches, samples IN ACCESS EXCLUSIVE MODE")
        time.sleep(site.settings.lock_timeout_s + 1)


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


@fault
def rotate_file(site: Site, random: Random) -> None:
    """The file is renamed, and a new one begins under its name."""
    feeder = site.feeders[0]
    feeder.finish()
    feeder.path.rename(feeder.path.with_name("a-1.csv"))
    site.feed(name="b")


@fault
def roll_everything(site: Site, random: Random) -> None:
    """A rolling restart of every process under load."""
    for old in list(site.collectors):
        site.start_collector()
        site.collectors.remove(old)
        old.terminate()
        old.wait()
    beat, *streamers = site.edge
    for old in [beat, *streamers]:
        old.terminate()
        old.wait()
    site.edge.clear()
    site.start_beat()
    site.start_streamer()


@fault
def poison(site: Site, random: Random) -> None:
    """Strangers push what is no batch: other tasks, pickles, damaged bodies, bombs."""
    from tests.faults.poisons import push_all  # noqa: PLC0415

    with site.client() as client:
        push_all(client, site.settings)
