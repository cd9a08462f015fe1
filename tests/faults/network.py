"""Faults of the network between the parts: cut, silent (half-open) and slow, on each way. They need `site(proxied=True)`.

Connections that were silenced stay dead after the silence: see `proxy`.
"""

from __future__ import annotations

import time
from random import Random
from urllib.parse import urlsplit

import redis

from telemetry.local.servers import Valkey
from tests.faults.fault import network_fault, pause
from tests.faults.proxy import Proxy
from tests.faults.site import Site
from tests.faults.ways import Network
from tests.ports import free_port
from tests.waiting import eventually

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


@network_fault
def fail_over_broker(site: Site, random: Random) -> None:
    """Another server becomes the broker; the former one lives on as its replica and keeps its connections."""
    former, directory = site.valkey, site.directory / f"valkey-{len(list(site.directory.glob('valkey*')))}"
    other = site.stack.enter_context(Valkey(directory, {"save": ""}))
    hand_over(former, other)
    site.variables["TELEMETRY_BROKER_URL"] = other.url
    site.valkey = other


@network_fault
def promote_a_lagging_broker(site: Site, random: Random) -> None:
    """The broker is SIGKILLed, and a replica becomes the broker that had lost it some seconds before."""
    former = site.valkey
    other = site.stack.enter_context(
        Valkey(site.directory / f"valkey-{len(list(site.directory.glob('valkey*')))}", {"save": ""})
    )
    follow(former, other)
    with client_of(other) as of_other:
        of_other.replicaof("NO", "ONE")
    site.wait_for_flow(3000)
    former.kill()
    site.variables["TELEMETRY_BROKER_URL"] = other.url
    site.valkey = other


def hand_over(former: Valkey, other: Valkey) -> None:
    """Make the other server a replica that has all, then the primary of the former one."""
    follow(former, other)
    with client_of(former) as of_former, client_of(other) as of_other:
        of_former.execute_command("FAILOVER", "TO", "127.0.0.1", of_other.config_get("port")["port"])
        eventually(lambda: of_former.info("replication")["role"] == "slave", 20, what="a failover")


def follow(primary: Valkey, other: Valkey) -> None:
    """Make a server a replica that has all."""
    with client_of(primary) as of_primary, client_of(other) as of_other:
        for client in (of_primary, of_other):
            client.config_set("bind", "127.0.0.1")
            client.config_set("port", free_port())
            client.config_set("repl-diskless-sync-delay", 0)
        of_other.replicaof("127.0.0.1", of_primary.config_get("port")["port"])
        eventually(lambda: of_other.info("replication").get("master_link_status") == "up", 20, what="a replica")


def client_of(server: Valkey) -> redis.Redis:
    """A client of one server, whatever it has become."""
    return redis.Redis(unix_socket_path=urlsplit(server.url).path, decode_responses=True)
