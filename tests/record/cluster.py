"""A cluster whose API can be watched: pods, nodes, claims and slices, with the history of their changes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.deploy.kubernetes import Api, Events, Object

PODS, NODES = "/api/v1/pods", "/api/v1/nodes"
GROUP = "/apis/resource.k8s.io"
CLAIMS, SLICES = f"{GROUP}/v1/resourceclaims", f"{GROUP}/v1/resourceslices"
DRIVER = "gpu.nvidia.com"


class WatchedApi(Api):
    """Collections by their paths. A `limit` is kept to; `oldest` is the first version that can be watched from."""

    def __init__(self, *, dynamic: bool = True) -> None:
        super().__init__()
        self.collections: dict[str, dict[str, Object]] = {path: {} for path in (PODS, NODES, CLAIMS, SLICES)}
        self.history: list[tuple[int, str, Object]] = []
        self.oldest = 0
        self.dynamic = dynamic
        self.is_down = self.breaks_off = False
        self.pages = 0

    def set(self, path: str, name: str, **body: Any) -> Object:
        """Make or change an object; its uid is its name."""
        is_new = name not in self.collections[path]
        self._changes += 1
        about = {"namespace": "research", **body.pop("metadata", {}), "name": name.split(":", maxsplit=1)[0], "uid": name}
        each = body | {"metadata": about | {"resourceVersion": str(self._changes)}}
        self.collections[path][name] = each
        self.history.append((self._changes, path, {"type": "ADDED" if is_new else "MODIFIED", "object": each}))
        return each

    def remove(self, path: str, name: str) -> None:
        """Delete an object."""
        self._changes += 1
        last = self.collections[path].pop(name)
        each = last | {"metadata": last["metadata"] | {"resourceVersion": str(self._changes)}}
        self.history.append((self._changes, path, {"type": "DELETED", "object": each}))

    def forget(self) -> None:
        """Have none of the changes so far any more, as the server compacts them."""
        self.history.clear()
        self.oldest = self._changes + 1

    def answer(self, method: str, target: str, body: Object) -> tuple[int, Any]:
        """Status and answer."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.is_down:
            return 503, {"message": "etcd is away"}
        if parts.path == GROUP and self.dynamic:
            return 200, {"kind": "APIGroup", "versions": [{"groupVersion": "resource.k8s.io/v1", "version": "v1"}]}
        if parts.path not in self.collections or parts.path in self.forbidden:
            return super().answer(method, target, body)
        self.asked.append(("WATCH" if "watch" in query else "LIST", parts.path))
        return self._watched(parts.path, query) if "watch" in query else self._page(parts.path, query)

    def _watched(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        since = int(query["resourceVersion"])
        if since < self.oldest:
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            return 200, Events([{"type": "ERROR", "object": gone}])
        events = [event for version, of, event in self.history if of == path and version > since]
        mark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self._changes)}}}
        return 200, Events([*events] if self.breaks_off else [*events, mark], is_broken_off=self.breaks_off)

    def _page(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        self.pages += 1
        begin, limit = int(query.get("continue", 0)), int(query["limit"])
        items = list(self.collections[path].values())
        about = {"resourceVersion": str(self._changes)}
        if begin + limit < len(items):
            about["continue"] = str(begin + limit)
        return 200, {"items": items[begin : begin + limit], "metadata": about}


def pod(
    start: str = "10:00:00", *, node: str = "n1", gpus: int = 0, claim: str = "", over: str = "", phase: str = "Running",
    annotation: str = "", resource: str = "nvidia.com/gpu",
) -> Object:  # fmt: skip
    """The body of a pod of one container, of a day in July."""
    resources: Object = {"limits": {resource: str(gpus)}} if gpus else {}
    if claim:
        resources["claims"] = [{"name": "gpu"}]
    status: Object = {
        "phase": phase,
        "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": f"2025-07-18T{start}Z"}],
    }
    if over:
        ended = {"terminated": {"finishedAt": f"2025-07-18T{over}Z"}}
        status["containerStatuses"] = [{"name": "main", "state": ended}]
    spec: Object = {"nodeName": node, "containers": [{"name": "main", "resources": resources}]}
    if claim:
        spec["resourceClaims"] = [{"name": "gpu", "resourceClaimName": claim}]
    annotations = {"hami.io/vgpu-devices-allocated": annotation} if annotation else {}
    return {"metadata": {"annotations": annotations}, "spec": spec, "status": status}


def claim(*devices: str, pods: tuple[str, ...], pool: str = "n1", driver: str = DRIVER, **more: Any) -> Object:
    """The body of a claim that has devices and is reserved for pods."""
    results = [{"request": "gpu", "driver": driver, "pool": pool, "device": device} | more for device in devices]
    reserved = [{"resource": "pods", "name": uid.split(":")[0], "uid": uid} for uid in pods]
    return {"spec": {}, "status": {"allocation": {"devices": {"results": results}}, "reservedFor": reserved}}


def slices(uuids: dict[str, str], *, pool: str = "n1", generation: int = 1, driver: str = DRIVER, kind: str = "gpu") -> Object:
    """The body of a slice with devices and their UUIDs."""
    devices = [
        {"name": name, "attributes": {"type": {"string": kind}, "uuid": {"string": uuid}}} for name, uuid in uuids.items()
    ]
    return {"spec": {"driver": driver, "pool": {"name": pool, "generation": generation}, "devices": devices}}


def node(gpus: int, *, count: str = "", hami: str = "", **labels: str) -> Object:
    """The body of a node with GPUs; `count` is what feature discovery says."""
    spelt = {f"nvidia.com/{name.replace('_', '.', 1)}": value for name, value in labels.items()}
    said = {"nvidia.com/gpu.count": count} if count else {}
    annotations = {"hami.io/node-nvidia-register": hami} if hami else {}
    return {
        "metadata": {"labels": spelt | said, "annotations": annotations},
        "status": {"capacity": {"nvidia.com/gpu": str(gpus)}},
    }
