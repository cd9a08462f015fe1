"""All sites at a glance: which release is there, and how many pods of each component are ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from telemetry.deploy import workloads
from telemetry.deploy.cluster import Cluster, ClusterError
from telemetry.deploy.helm import HelmError
from telemetry.deploy.inventory import Site
from telemetry.deploy.preflight import Deployment
from telemetry.deploy.workloads import State

HEADINGS = ("ROLE", "CONTEXT", "RELEASE", "STATE", "CHART", "READY")


@dataclass(frozen=True, slots=True)
class SiteState:
    """What is known of one site."""

    site: Site
    release: dict[str, Any] | None = None
    states: list[State] = field(default_factory=list)
    fault: str | None = None

    @property
    def is_up(self) -> bool:
        """Whether it is deployed and all its pods are ready."""
        deployed = self.release is not None and self.release.get("status") == "deployed"
        return deployed and bool(self.states) and all(state.is_up for state in self.states)


def look(deployment: Deployment, sites: Sequence[Site]) -> list[SiteState]:
    """Ask all clusters, side by side."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda site: _site(deployment, site), sites))


def _site(deployment: Deployment, site: Site) -> SiteState:
    namespace = deployment.inventory.namespace
    try:
        release = deployment.helm.releases(site.context, namespace).get(site.release)
        found = workloads.states(Cluster(site.context, deployment.kubeconfig), namespace, site.release) if release else []
    except (ClusterError, HelmError) as error:
        return SiteState(site, fault=str(error))
    return SiteState(site, release, found)


def table(found: Sequence[SiteState]) -> Iterator[str]:
    """A line a site."""
    rows = [HEADINGS, *(_row(each) for each in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    for row in rows:
        yield "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]).rstrip()


def document(found: Sequence[SiteState]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "role": each.site.role,
            "context": each.site.context,
            "name": each.site.name,
            "release": each.site.release,
            "status": (each.release or {}).get("status"),
            "chart": (each.release or {}).get("chart"),
            "components": [state._asdict() for state in each.states],
            "ready": each.is_up,
            "fault": each.fault,
        }
        for each in found
    ]


def _row(each: SiteState) -> tuple[str, ...]:
    site, release = each.site, each.release or {}
    ready = each.fault or ", ".join(map(str, each.states)) or "-"
    state = "unknown" if each.fault else str(release.get("status", "not installed"))
    return site.role, site.context, site.release, state, str(release.get("chart", "-")), " ".join(ready.split())
