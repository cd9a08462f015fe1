"""Faults of our own processes: killed, frozen, rolled."""

from __future__ import annotations

import time
from random import Random

from tests.faults.fault import fault, pause
from tests.faults.site import Site, children, freeze, kill_tree, thaw


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
        each.wait()
    site.edge.clear()
    site.start_beat()
    site.start_streamer()
    for each in old:
        each.wait()
