"""Faults of the network between the parts: cut, silent (half-open) and slow, on each way. They need `site(proxied=True)`.

Connections that were silenced stay dead after the silence: see `proxy`.
"""

from __future__ import annotations

import time
from random import Random

from tests.faults.fault import network_fault, pause
from tests.faults.proxy import Proxy
from tests.faults.site import Site
from tests.faults.ways import Network

SILENCE_S = 15.0
SLOW_S = 8.0
DELAY_S = 0.2


def network(site: Site) -> Network:
    """The proxies of a site that has them."""
    assert site.network is not None, "this fault needs site(proxied=True)"
    return site.network


def cut(proxy: Proxy, random: Random) -> None:
    """Reset all connections some times, then refuse new ones for a while."""
    for _ in range(5):
        proxy.cut()
        pause(random, 0.5)
    proxy.refuse()
    pause(random, 4)
    proxy.heal()


def silence(proxy: Proxy) -> None:
    """Half-open for a while."""
    proxy.silence()
    time.sleep(SILENCE_S)
    proxy.heal()


def slow(proxy: Proxy) -> None:
    """Far away for a while."""
    proxy.slow(DELAY_S)
    time.sleep(SLOW_S)
    proxy.heal()


@network_fault
def cut_edge_from_broker(site: Site, random: Random) -> None:
    """The way from the edge to the broker is cut, and refused for some seconds."""
    cut(network(site).edge_to_broker, random)


@network_fault
def silence_edge_to_broker(site: Site, random: Random) -> None:
    """The way from the edge to the broker is half-open for 15 seconds."""
    silence(network(site).edge_to_broker)


@network_fault
def slow_edge_to_broker(site: Site, random: Random) -> None:
    """Each chunk between edge and broker takes 200 ms."""
    slow(network(site).edge_to_broker)


@network_fault
def cut_centre_from_broker(site: Site, random: Random) -> None:
    """The way from the collectors to the broker is cut, and refused for some seconds."""
    cut(network(site).centre_to_broker, random)


@network_fault
def silence_centre_to_broker(site: Site, random: Random) -> None:
    """The way from the collectors to the broker is half-open for 15 seconds."""
    silence(network(site).centre_to_broker)


@network_fault
def cut_centre_from_database(site: Site, random: Random) -> None:
    """The way from the collectors to Postgres is cut, and refused for some seconds."""
    cut(network(site).centre_to_database, random)


@network_fault
def silence_centre_to_database(site: Site, random: Random) -> None:
    """The way from the collectors to Postgres is half-open for 15 seconds, in the middle of transactions."""
    silence(network(site).centre_to_database)


@network_fault
def slow_centre_to_database(site: Site, random: Random) -> None:
    """Each chunk between the collectors and Postgres takes 200 ms."""
    slow(network(site).centre_to_database)
