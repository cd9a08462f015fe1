"""Faults of a database with a standby: it becomes the primary, of which the processes are told nothing.

They need `site(with_standby=True)`, whose database URL names both, and use the standby up. The former primary stays away: to
keep it from taking writes is the work of whoever promotes.
"""

from __future__ import annotations

from random import Random

from telemetry.local.servers import Postgres
from tests.faults.fault import pause, standby_fault
from tests.faults.site import Site, kill_tree
from tests.standby import ask, cut_off, promote, url_of


def take_over(site: Site, follower: Postgres) -> None:
    """Let the standby be the primary, also of what the site counts."""
    promote(follower)
    take_over_from(site, follower)


def take_over_from(site: Site, follower: Postgres) -> None:
    """Let what was promoted already be what the site counts."""
    site.postgres, site.standby = follower, None


def committed(server: Postgres) -> int:
    """Rows in the ledger of one server."""
    return int(str(ask(server, "SELECT coalesce(sum(rows), 0) FROM ledger")))


def standby_of(site: Site) -> Postgres:
    """The standby that is left."""
    assert site.standby is not None, "this fault needs site(with_standby=True), and comes once"
    return site.standby


@standby_fault
def switch_database_over(site: Site, random: Random) -> None:
    """A planned switch: the primary is shut down, which sends the standby all that it has."""
    follower = standby_of(site)
    site.postgres.stop()
    pause(random)
    take_over(site, follower)


@standby_fault
def kill_primary_database(site: Site, random: Random) -> None:
    """SIGKILL the primary, and promote the standby."""
    follower = standby_of(site)
    site.postgres.kill()
    pause(random)
    take_over(site, follower)


@standby_fault
def split_the_brain(site: Site, random: Random) -> None:
    """The standby is promoted while the primary lives: collectors store in one and in the other; then the former ends."""
    former, follower = site.postgres, standby_of(site)
    promote(follower)
    victim = site.collectors.pop()
    kill_tree(victim.pid)
    victim.wait()
    kept = dict(site.centre_variables)
    site.centre_variables["TELEMETRY_DATABASE_URL"] = url_of(follower, former)
    site.start_collector()
    site.centre_variables = kept
    before = {server: committed(server) for server in (former, follower)}
    for server, rows in before.items():
        site.wait_until(lambda server=server, rows=rows: committed(server) > rows + 1000, "both databases take rows")  # type: ignore[misc]
    former.kill()
    pause(random)
    take_over_from(site, follower)


@standby_fault
def promote_a_lagging_standby(site: Site, random: Random) -> None:
    """The standby loses its primary some thousand rows before that is killed."""
    follower = standby_of(site)
    cut_off(follower)
    site.wait_for_flow(3000)
    site.postgres.kill()
    pause(random)
    take_over(site, follower)
