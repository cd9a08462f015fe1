"""Whether the workloads of a release are up: asked of the cluster, as Helm 3 takes some of them for granted."""

from __future__ import annotations

from typing import Any, NamedTuple

from telemetry.deploy.cluster import Cluster, path_of

PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
COMPONENT = "app.kubernetes.io/component"
Object = dict[str, Any]


class State(NamedTuple):
    """How many pods of a component are ready, of how many, all of them of the present version."""

    component: str
    ready: int
    desired: int

    @property
    def is_up(self) -> bool:
        """Whether all are."""
        return self.ready == self.desired

    def __str__(self) -> str:
        return f"{self.component} {self.ready}/{self.desired}"


def states(cluster: Cluster, namespace: str, release: str) -> list[State]:
    """The workloads of a release, and its Jobs that have not ended well."""
    selector = f"?labelSelector=app.kubernetes.io/instance={release}"
    workloads = [
        state(kind, item)
        for kind, plural in PLURALS.items()
        for item in cluster.items(path_of("apps/v1", plural, namespace) + selector)
    ]
    jobs = cluster.items(path_of("batch/v1", "jobs", namespace) + selector)
    return sorted([*workloads, *(each for each in map(job, jobs) if not each.is_up)])


def state(kind: str, item: Object) -> State:
    """The state of a workload. What its controller has not seen yet is not ready."""
    status = item.get("status", {})
    seen = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
    if kind == "DaemonSet":
        replicas = status.get("desiredNumberScheduled", 0)
        ready = min(status.get("numberReady", 0), status.get("updatedNumberScheduled", 0))
        # Without a node there is nothing that could be ready.
        replicas = max(replicas, 1)
    else:
        replicas = item["spec"].get("replicas", 1)
        ready = min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
    return State(item["metadata"]["labels"].get(COMPONENT, item["metadata"]["name"]), ready if seen else 0, replicas)


def job(item: Object) -> State:
    """A Job: one pod that has to end well."""
    return State(item["metadata"]["labels"].get(COMPONENT, "job"), min(item.get("status", {}).get("succeeded", 0), 1), 1)
