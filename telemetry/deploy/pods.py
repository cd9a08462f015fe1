"""The pods of a release in which commands can be run: those of the centre that reach broker and database, and of edges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from telemetry.deploy.cluster import CORE, Cluster, ClusterError, path_of
from telemetry.deploy.workloads import COMPONENT

EDGE_VARIABLE = "TELEMETRY_EDGE"
# Parts of the centre that reach broker and database. Where each has a user of its own, the first may read all keys of edges.
OF_CENTRE = ("exporter", "api", "collector")
STREAMER = "streamer"
Object = dict[str, Any]


class Place(NamedTuple):
    """A container in which a command can be run. `edge` is the name of the edge that it streams for, "" at the centre."""

    pod: str
    container: str
    edge: str = ""


def of_centre(cluster: Cluster, namespace: str, release: str) -> Place:
    """A container of the centre. Raises ClusterError if none is ready."""
    pods = _ready(cluster, namespace, release)
    for component in OF_CENTRE:
        for pod in pods:
            if pod["metadata"]["labels"].get(COMPONENT) == component:
                return Place(pod["metadata"]["name"], component)
    raise ClusterError(f"no pod of {release} in {cluster.context} is ready to be asked")


def of_edges(cluster: Cluster, namespace: str, release: str) -> list[Place]:
    """A container for each edge whose streamer is ready, by name: replicas that share their files are one edge."""
    places: dict[str, Place] = {}
    for pod in _ready(cluster, namespace, release):
        if pod["metadata"]["labels"].get(COMPONENT) == STREAMER and (edge := edge_of(pod)):
            places.setdefault(edge, Place(pod["metadata"]["name"], STREAMER, edge))
    return sorted(places.values(), key=lambda place: place.edge)


def edge_of(pod: Object) -> str:
    """The name of the edge that a pod streams for; "" if it is none. Variables stand in one another as $(NAME)."""
    for container in pod["spec"].get("containers", []):
        if container["name"] == STREAMER:
            known: dict[str, str] = {}
            for variable in container.get("env", []):
                known[variable["name"]] = _value(variable, pod, known)
            return known.get(EDGE_VARIABLE, "")
    return ""


def restarts(pod: Object) -> int:
    """How often containers of a pod were started again."""
    return sum(int(each.get("restartCount", 0)) for each in pod.get("status", {}).get("containerStatuses") or [])


def listed(cluster: Cluster, namespace: str, release: str) -> list[Object]:
    """The pods of a release."""
    return cluster.items(f"{path_of(CORE, 'pods', namespace)}?labelSelector=app.kubernetes.io/instance={release}")


def _ready(cluster: Cluster, namespace: str, release: str) -> list[Object]:
    return sorted(filter(_is_ready, listed(cluster, namespace, release)), key=lambda pod: str(pod["metadata"]["name"]))


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return is_ready and "deletionTimestamp" not in pod["metadata"]


def _value(variable: Mapping[str, Any], pod: Object, known: Mapping[str, str]) -> str:
    if "value" in variable:
        text = str(variable["value"])
        for name, value in known.items():
            text = text.replace(f"$({name})", value)
        return text
    node: Any = pod
    for part in _parts(variable):
        node = node.get(part, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, str) else ""


def _parts(variable: Mapping[str, Any]) -> Iterator[str]:
    yield from variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "").split(".")
