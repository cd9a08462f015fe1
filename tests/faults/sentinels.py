"""Faults of a broker that sentinels watch: each ends with another server as the primary. They need `site(sentinels=True)`.

Replication is asynchronous, so each may cost what the replica had not got yet; the last one makes sure of that.
"""

from __future__ import annotations

from random import Random

from tests.faults.fault import pause, sentinel_fault
from tests.faults.site import Site
from tests.sentinels import SERVICE, Watched

# A server without a password refuses one, so its replica stays behind.
WRONG = "wrong"


def group(site: Site) -> Watched:
    """The servers of a site that has sentinels; every fault begins with a replica that has all."""
    assert site.watched is not None, "this fault needs site(sentinels=True)"
    site.watched.await_replica()
    return site.watched


@sentinel_fault
def kill_primary(site: Site, random: Random) -> None:
    """SIGKILL the primary; it comes back as a replica of the other server once that is the primary."""
    servers = group(site)
    former = servers.primary
    former.kill()
    servers.await_failover(former)
    pause(random)
    former.start()


@sentinel_fault
def freeze_primary(site: Site, random: Random) -> None:
    """SIGSTOP the primary until there is another; then it goes on, and holds itself for the primary for a while."""
    servers = group(site)
    former = servers.primary
    former.freeze()
    servers.await_failover(former)
    pause(random)
    former.thaw()


@sentinel_fault
def fail_over_by_hand(site: Site, random: Random) -> None:
    """An operator asks a sentinel for a failover; nothing has failed."""
    servers = group(site)
    former = servers.primary
    with servers.sentinels[0].client() as client:
        client.execute_command("SENTINEL FAILOVER", SERVICE)
    servers.await_failover(former)


@sentinel_fault
def promote_a_lagging_replica(site: Site, random: Random) -> None:
    """The replica loses its primary some thousand rows before that is killed, and becomes the primary."""
    servers = group(site)
    former, replica = servers.primary, servers.replica
    with replica.client() as client:
        client.config_set("masterauth", WRONG)
        with former.client() as of_former:
            of_former.client_kill_filter(_type="replica")
        site.wait_for_flow(3000)
        former.kill()
        servers.await_failover(former)
        client.config_set("masterauth", "")
    former.start()
