"""Faults of several brokers: one dies while edges of the others stream on, one is added, one is drained and taken away.

They need `site(kind=Fleet)`.
"""

from __future__ import annotations

import os
import signal
from random import Random

from tests.faults.brokers import lose_files
from tests.faults.fault import pause, several_fault
from tests.faults.fleet import THIRD, Fleet
from tests.faults.site import Site

# Committed of the others' edges while one broker is away.
ROWS = 500


def fleet(site: Site) -> Fleet:
    """The site of such a fault."""
    assert isinstance(site, Fleet), "this fault needs site(kind=Fleet)"
    return site


def one_with_an_edge(site: Fleet, random: Random) -> str:
    """A broker in use, so that the edge at the other one streams on."""
    return random.choice([site.home(site.moving), site.home(site.staying)])


def stream_on(site: Fleet) -> None:
    """Wait for rows of the edge whose broker is there, if the two are at different ones."""
    if site.home(site.moving) != site.home(site.staying):
        Site.wait_for_flow(site, ROWS)


@several_fault
def kill_one_broker(site: Site, random: Random) -> None:
    """SIGKILL one broker; the edge at the other one streams on. It comes back with what its append-only file holds."""
    running = fleet(site)
    server = running.brokers[one_with_an_edge(running, random)]
    server.kill()
    stream_on(running)
    pause(random)
    server.start()


@several_fault
def lose_one_broker(site: Site, random: Random) -> None:
    """SIGKILL one broker and lose its disk."""
    running = fleet(site)
    server = running.brokers[one_with_an_edge(running, random)]
    server.kill()
    lose_files(server)
    stream_on(running)
    server.start()


@several_fault
def freeze_one_broker(site: Site, random: Random) -> None:
    """SIGSTOP one broker: connections stay, answers do not come."""
    running = fleet(site)
    server = running.brokers[one_with_an_edge(running, random)]
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    stream_on(running)
    pause(random, 8)
    os.kill(server.pid, signal.SIGCONT)


@several_fault
def add_a_broker(site: Site, random: Random) -> None:
    """A broker comes with its collector, and edges are started again, told to end or by SIGKILL; one of them moves."""
    running = fleet(site)
    if THIRD not in running.brokers:
        running.open(THIRD)
        running.tell()
        running.start_collector()
    running.drained = frozenset()
    running.tell()
    running.restart_edges(gently=random.random() < 1 / 2)


@several_fault
def drain_a_broker(site: Site, random: Random) -> None:
    """The edge that moves leaves its broker while batches are in flight; the third one is taken away once it is worked off."""
    running = fleet(site)
    left = running.home(running.moving)
    running.drained = frozenset({left})
    running.tell()
    running.restart_edges(gently=random.random() < 1 / 2)
    running.await_worked_off(left)
    if left == THIRD:
        running.close(THIRD)


@several_fault
def move_from_a_broker_that_is_away(site: Site, random: Random) -> None:
    """A broker dies, and its edge is sent to another one: it begins with nothing, and the old queue comes later."""
    running = fleet(site)
    left = running.home(running.moving)
    running.brokers[left].kill()
    running.drained = frozenset({left})
    running.tell()
    running.restart_edges(gently=False)
    running.wait_for_flow(ROWS)
    running.brokers[left].start()
