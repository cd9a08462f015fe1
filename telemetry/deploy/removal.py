"""Removes sites, the edges first. Volumes, their data and passwords stay unless they are asked for.

What a release leaves: claims of Postgres, Redis and uploads, and the Secrets of this tool. The namespace always stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from telemetry.deploy import secrets
from telemetry.deploy.cluster import CORE, Cluster, ClusterError, path_of
from telemetry.deploy.helm import HelmError
from telemetry.deploy.inventory import RELEASES, Site
from telemetry.deploy.preflight import Deployment
from telemetry.deploy.rollout import GRACE_S, Say, label


def claims(cluster: Cluster, namespace: str, release: str) -> list[str]:
    """The claims of a release, which hold its data."""
    objects = cluster.items(
        f"{path_of(CORE, 'persistentvolumeclaims', namespace)}?labelSelector=app.kubernetes.io/instance={release}"
    )
    return [each["metadata"]["name"] for each in objects]


def planned(deployment: Deployment, sites: Sequence[Site], *, data: bool) -> list[str]:
    """What would be removed, in words. Raises ClusterError or HelmError where it cannot be told."""
    namespace, lines = deployment.inventory.namespace, []
    for site in reversed(sites):
        cluster = Cluster(site.context, deployment.kubeconfig)
        if site.release in deployment.helm.releases(site.context, namespace):
            lines.append(f"{label(site)}: the release {site.release}")
        fate = "WITH ITS DATA" if data else "stays, with its data"
        lines += [f"{label(site)}: the claim {name} {fate}" for name in claims(cluster, namespace, site.release)]
    return lines


def remove(deployment: Deployment, sites: Sequence[Site], timeout_s: int, say: Say, *, data: bool) -> list[Site]:
    """Remove the sites; those that failed."""
    failed = []
    for site in reversed(sites):
        try:
            _one(deployment, site, timeout_s, say, data=data)
        except (HelmError, ClusterError) as error:
            say(f"{label(site)}: FAILED: {error}")
            failed.append(site)
    return failed


def _one(deployment: Deployment, site: Site, timeout_s: int, say: Say, *, data: bool) -> None:
    namespace = deployment.inventory.namespace
    cluster = Cluster(site.context, deployment.kubeconfig)
    if site.release in deployment.helm.releases(site.context, namespace):
        deployment.helm.run(deployment.helm.uninstall(site.context, site.release, namespace, timeout_s), timeout_s + GRACE_S)
        say(f"{label(site)}: removed {site.release}")
    else:
        say(f"{label(site)}: there is no release {site.release}")
    if not data:
        return
    for name in claims(cluster, namespace, site.release):
        cluster.send("DELETE", path_of(CORE, "persistentvolumeclaims", namespace, name))
        say(f"{label(site)}: removed the claim {name} with its data")
    # Another site in the same namespace uses the same Secrets.
    if not set(RELEASES.values()) & set(deployment.helm.releases(site.context, namespace)):
        for name, secret in secrets.present(cluster, namespace).items():
            if secrets.is_ours(secret):
                cluster.send("DELETE", path_of(CORE, "secrets", namespace, name))
                say(f"{label(site)}: removed the Secret {name}")
