"""All sites at a glance: which release is there, which pods are ready and where, and what the centre knows of the edges."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from telemetry.deploy import centre, pods, workloads
from telemetry.deploy.centre import Centre, EdgeState
from telemetry.deploy.cluster import Cluster, ClusterError
from telemetry.deploy.helm import HelmError
from telemetry.deploy.inventory import Site
from telemetry.deploy.preflight import Deployment
from telemetry.deploy.workloads import State


class Pod(NamedTuple):
    """Where a pod is, how often its containers were started again, and the edge that it streams for ("" for none)."""

    name: str
    node: str
    restarts: int
    edge: str


@dataclass(frozen=True, slots=True)
class SiteState:
    """What is known of one site. `edges`: those of its cluster; None for one that the centre has never heard of."""

    site: Site
    release: dict[str, Any] | None = None
    states: list[State] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    edges: dict[str, EdgeState | None] = field(default_factory=dict)
    fault: str | None = None

    @property
    def is_up(self) -> bool:
        """Whether it is deployed, all its pods are ready, and none of its edges is silent or unheard of."""
        deployed = self.release is not None and self.release.get("status") == "deployed"
        are_ready = deployed and bool(self.states) and all(state.is_up for state in self.states)
        return are_ready and all(edge is not None and not edge.silent_s for edge in self.edges.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """All sites, and the answer of the centre. A fault says why there is none; neither where nobody names a centre."""

    sites: list[SiteState]
    centre: Centre | None = None
    fault: str | None = None

    @property
    def is_up(self) -> bool:
        """Whether all is."""
        return not self.fault and all(each.is_up for each in self.sites)


def look(deployment: Deployment, sites: Sequence[Site]) -> Overview:
    """Ask all clusters, side by side."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        asked = pool.submit(_centre, deployment)
        states = list(pool.map(lambda site: _site(deployment, site), sites))
        known, fault = asked.result()
    # What is not installed, or cannot be asked at all, says so in its own line.
    is_there = any(each.release is not None for each in states if each.site.role == "central")
    if known is None and not is_there and any(each.site.role == "central" for each in states):
        fault = None
    return Overview([_with_edges(each, known) for each in states], known, fault)


def document(overview: Overview) -> list[dict[str, Any]]:
    """All of it for programs: an object for each site."""
    sites, known = overview.sites, overview.centre
    return [
        {
            "role": each.site.role,
            "context": each.site.context,
            "name": each.site.name,
            "release": each.site.release,
            "status": (each.release or {}).get("status"),
            "chart": (each.release or {}).get("chart"),
            "revision": (each.release or {}).get("revision"),
            "components": [state._asdict() for state in each.states],
            "pods": [{"name": pod.name, "node": pod.node, "restarts": pod.restarts} for pod in each.pods],
            "edges": [{"edge": name, **(asdict(edge) if edge else {"unknown": True})} for name, edge in each.edges.items()],
            "queue": {"waiting": known.waiting, "unacked": known.unacked} if known and each.site.role == "central" else None,
            "ready": each.is_up,
            "fault": each.fault or (overview.fault if each.site.role == "central" else None),
        }
        for each in sites
    ]


def _centre(deployment: Deployment) -> tuple[Centre | None, str | None]:
    sites = deployment.inventory.of("central")
    if not sites:
        return None, None
    try:
        cluster = Cluster(sites[0].context, deployment.kubeconfig)
        return centre.ask(cluster, deployment.inventory.namespace, sites[0].release), None
    except ClusterError as error:
        return None, str(error)


def _site(deployment: Deployment, site: Site) -> SiteState:
    namespace = deployment.inventory.namespace
    try:
        release = deployment.helm.releases(site.context, namespace).get(site.release)
        if release is None:
            return SiteState(site)
        cluster = Cluster(site.context, deployment.kubeconfig)
        return SiteState(
            site,
            release,
            workloads.states(cluster, namespace, site.release),
            [_pod(each) for each in pods.listed(cluster, namespace, site.release)],
        )
    except (ClusterError, HelmError) as error:
        return SiteState(site, fault=str(error))


def _pod(pod: dict[str, Any]) -> Pod:
    return Pod(pod["metadata"]["name"], pod["spec"].get("nodeName", ""), pods.restarts(pod), pods.edge_of(pod))


def _with_edges(state: SiteState, known: Centre | None) -> SiteState:
    """With the edges of its cluster: those whose pods are there, and those that the centre has heard of."""
    if known is None or state.site.role != "edge" or state.release is None:
        return state
    names = {pod.edge for pod in state.pods if pod.edge}
    names |= {name for name in known.edges if name.partition("/")[0] == state.site.name}
    edges = {name: known.edges.get(name) for name in sorted(names)}
    return replace(state, edges=edges)
