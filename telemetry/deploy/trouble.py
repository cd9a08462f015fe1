"""Tells why pods of a release are not ready: events of the cluster, and the last lines of their logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from telemetry.deploy.cluster import CORE, Cluster, ClusterError, path_of

LINES = 5
EVENTS = 10
Object = dict[str, Any]


def lines(cluster: Cluster, namespace: str, release: str, full_name: str) -> Iterator[str]:
    """What is known, the events first. A cluster that does not answer is told, too."""
    try:
        pods = cluster.items(f"{path_of(CORE, 'pods', namespace)}?labelSelector=app.kubernetes.io/instance={release}")
        events = cluster.items(f"{path_of(CORE, 'events', namespace)}?fieldSelector=type=Warning")
        yield from event_lines(events, full_name)
        for pod in pods:
            for container in failing(pod):
                yield f"{pod['metadata']['name']}/{container['name']}: {reason(container)}"
                log = cluster.log(namespace, pod["metadata"]["name"], container["name"], LINES)
                yield from (f"  | {line}" for line in log.splitlines())
    except ClusterError as error:
        yield str(error)


def event_lines(events: list[Object], full_name: str) -> Iterator[str]:
    """The latest warnings about objects of the release, each text once."""
    of_release = [each for each in events if each["involvedObject"].get("name", "").startswith(full_name)]
    of_release.sort(key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or "")
    texts = dict.fromkeys(
        f"{each['involvedObject']['kind']} {each['involvedObject']['name']}: {each.get('reason')}: {each.get('message')}"
        for each in of_release
    )
    yield from list(texts)[-EVENTS:]


def failing(pod: Object) -> list[Object]:
    """The containers of a pod that are not as they should be; of those that run before others, the first that still does."""
    status = pod.get("status", {})
    before = [each for each in status.get("initContainerStatuses") or [] if _ended_with(each) != 0]
    if before:
        return before[:1]
    return [each for each in status.get("containerStatuses") or [] if not each.get("ready") and _ended_with(each) != 0]


def reason(container: Object) -> str:
    """Why a container is not ready."""
    state = container.get("state", {})
    if waiting := state.get("waiting"):
        if waiting.get("reason") == "PodInitializing":
            return "waits"
        return ": ".join(text for text in (waiting.get("reason"), waiting.get("message")) if text) or "waits"
    if ended := state.get("terminated"):
        return f"ended with {ended.get('exitCode')}"
    return "runs and is not ready"


def _ended_with(container: Object) -> int | None:
    ended = container.get("state", {}).get("terminated")
    return int(ended["exitCode"]) if ended else None
