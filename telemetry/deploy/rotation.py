"""Gives edges new credentials while the old ones stay good, and ends the old ones when every pod has the new ones.

A rotation that was cut off goes on where it was: what is valid is kept, and an edge that has two gets no third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from telemetry.deploy import handout, rollout
from telemetry.deploy.cluster import ClusterError
from telemetry.deploy.inventory import Site
from telemetry.deploy.preflight import Deployment
from telemetry.deploy.rollout import Say, label


def rotate(deployment: Deployment, sites: Sequence[Site], timeout_s: int, say: Say) -> list[Site]:
    """Rotate the credentials of edges; those that failed keep the old ones, too."""
    if deployment.users is None:
        return list(sites)
    begun = replace(deployment, users=deployment.users.begun(site.name for site in sites))
    failed = rollout.deploy(begun, sites, timeout_s, say)
    done = [site for site in sites if site not in failed]
    if not done or begun.users is None:
        return failed
    ended = replace(begun, users=begun.users.finished(site.name for site in done))
    try:
        handout.keep(ended)
    except ClusterError as error:
        say(f"the old credentials were not ended: {error}")
        return list(sites)
    if not rollout.declared(ended, timeout_s, say):
        return list(sites)
    for site in done:
        say(f"{label(site)}: has its new credentials alone")
    return failed
