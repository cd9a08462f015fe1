"""What is kept of objects of the Kubernetes API: which GPUs a pod asks for, and all that says which it has.

The API itself says that in two places alone. A *claim* (dynamic resource allocation) names devices, and a *slice* of their
driver has the UUIDs of these. HAMi's scheduler writes UUIDs into an annotation of the pod. What a device plugin gave to a pod,
only the node knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Object = dict[str, Any]
OVER = {"Succeeded", "Failed"}
# Resources of device plugins that are GPUs, or parts of some.
OF_GPUS = re.compile(r"nvidia\.com/(?:gpu(?:\.shared)?|mig-.+)|amd\.com/gpu|gpu\.intel\.com/(?:i915|xe)|habana\.ai/gaudi")
WHOLE = "nvidia.com/gpu"
UUID = re.compile(r"GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
COUNT = re.compile(r"\d{1,5}", re.ASCII)
HAMI, HAMI_NODE = "hami.io/vgpu-devices-allocated", "hami.io/node-nvidia-register"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that was given GPUs. `start_s` is when it got its node, `end_s` when its last container ended, if all have.

    `asks` has the GPUs of device plugins by container, `claims` the containers that use (claim, request), a request of ""
    being all of them. `hami` are the UUIDs of the annotation by container, which is "" where it is not known.
    """

    namespace: str
    name: str
    node: str
    is_over: bool
    start_s: int | None
    end_s: int | None
    asks: Mapping[str, int] = field(default_factory=dict)
    whole: int = 0
    claims: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    hami: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim with its devices: (request, driver, pool, device) each, and the uids of the pods that it is reserved for."""

    name: str
    devices: tuple[tuple[str, str, str, str], ...]
    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """Devices of a pool of a driver: the UUID of each that is a whole GPU, or why it is none."""

    pool: tuple[str, str]
    generation: int
    devices: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """A node: how many GPUs it has and hands out whole, 0 where that is not sure; and the UUIDs that HAMi knows there."""

    name: str
    gpus: int
    hami: frozenset[str]


def pod(each: Object) -> Pod | None:
    """A pod that has a node and asks for GPUs."""
    about, spec, status = each["metadata"], each["spec"], each.get("status") or {}
    containers = spec.get("containers") or []
    limits = {one["name"]: (one.get("resources") or {}).get("limits") or {} for one in containers}
    counts = {name: {what: _count(n) for what, n in of.items() if OF_GPUS.fullmatch(what)} for name, of in limits.items()}
    asks = {name: sum(of.values()) for name, of in counts.items() if sum(of.values())}
    claims = _claims(spec, status)
    if not spec.get("nodeName") or not (asks or claims):
        return None
    whole = sum(of.get(WHOLE, 0) for of in counts.values())
    is_over = status.get("phase") in OVER
    return Pod(
        about.get("namespace", ""),
        about["name"],
        spec["nodeName"],
        is_over,
        _start_s(status),
        _end_s(status),
        asks,
        whole if whole == sum(asks.values()) else 0,
        claims,
        _hami((about.get("annotations") or {}).get(HAMI, ""), spec),
    )


def claim(each: Object) -> Claim | None:
    """A claim whose devices are allocated, those of GPUs alone. Who only watches a device (adminAccess) does not have it."""
    status = each.get("status") or {}
    results = ((status.get("allocation") or {}).get("devices") or {}).get("results") or []
    devices = tuple(
        (one.get("request", ""), one["driver"], one["pool"], one["device"])
        for one in results
        if _is_of_gpus(one["driver"]) and not one.get("adminAccess")
    )
    pods = tuple(one["uid"] for one in status.get("reservedFor") or [] if one.get("resource") == "pods")
    return Claim(each["metadata"]["name"], devices, pods) if devices else None


def devices(each: Object) -> Slice | None:
    """A slice of the GPUs of a driver."""
    spec = each["spec"]
    if not _is_of_gpus(spec["driver"]):
        return None
    uuids = {}
    for one in spec.get("devices") or []:
        attributes = one.get("attributes") or (one.get("basic") or {}).get("attributes") or {}
        kind, uuid = (
            next((attributes[key].get("string", "") for key in (name, f"{spec['driver']}/{name}") if key in attributes), "")
            for name in ("type", "uuid")
        )
        uuids[one["name"]] = uuid if kind in ("", "gpu") else ""
    return Slice((spec["driver"], spec["pool"]["name"]), int(spec["pool"].get("generation", 0)), uuids)


def node(each: Object) -> Node:
    """A node. Its GPUs count where NVIDIA's feature discovery and device plugin say the same number, unshared and undivided."""
    about, status = each["metadata"], each.get("status") or {}
    labels = about.get("labels") or {}
    said, has = labels.get("nvidia.com/gpu.count", ""), (status.get("capacity") or {}).get(WHOLE, "")
    is_shared = labels.get("nvidia.com/gpu.replicas", "1") not in ("0", "1")
    is_divided = labels.get("nvidia.com/mig.strategy", "none") not in ("", "none") or "-MIG-" in labels.get(
        "nvidia.com/gpu.product", ""
    )
    gpus = _count(said) if said and said == has and not is_shared and not is_divided else 0
    return Node(about["name"], gpus, frozenset(UUID.findall((about.get("annotations") or {}).get(HAMI_NODE, ""))))


def _is_of_gpus(driver: str) -> bool:
    return "gpu" in driver


def _claims(spec: Object, status: Object) -> dict[tuple[str, str], tuple[str, ...]]:
    """The containers of a pod that use a claim, by the claim's name and the request; none for what no container names."""
    named = {one["name"]: one.get("resourceClaimName") for one in spec.get("resourceClaims") or []}
    named |= {one["name"]: one.get("resourceClaimName") for one in status.get("resourceClaimStatuses") or []}
    users: dict[tuple[str, str], list[str]] = {(name, ""): [] for name in named.values() if name}
    for container in spec.get("containers") or []:
        for use in (container.get("resources") or {}).get("claims") or []:
            if name := named.get(use["name"]):
                users.setdefault((name, use.get("request", "")), []).append(container["name"])
    # A claim that was made for a resource of a device plugin's name.
    extended = status.get("extendedResourceClaimStatus") or {}
    for one in extended.get("requestMappings") or []:
        users.setdefault((extended["resourceClaimName"], one["requestName"]), []).append(one["containerName"])
    return {use: tuple(dict.fromkeys(of)) for use, of in users.items()}


def _hami(annotation: str, spec: Object) -> tuple[tuple[str, str], ...]:
    """Container and device of each that the annotation names: `UUID,type,memory,cores:` each, a `;` behind each container's."""
    containers = [one["name"] for one in spec.get("containers") or []]
    parts = annotation.split(";")[:-1]
    is_by_container = len(parts) == len(containers) and not spec.get("initContainers")
    return tuple(
        (containers[place] if is_by_container else "", device.split(",")[0])
        for place, part in enumerate(parts)
        for device in part.split(":")
        if device.strip()
    )


def _start_s(status: Object) -> int | None:
    conditions = status.get("conditions") or []
    given = [one.get("lastTransitionTime") for one in conditions if (one["type"], one["status"]) == ("PodScheduled", "True")]
    return next((_seconds(one) for one in (*given, status.get("startTime")) if one), None)


def _end_s(status: Object) -> int | None:
    """When the last container ended; None while one has not, or where nothing tells."""
    states = [(one.get("state") or {}).get("terminated") or {} for one in status.get("containerStatuses") or []]
    ends = [_seconds(one["finishedAt"]) for one in states if one.get("finishedAt")]
    return max(ends) if ends and len(ends) == len(states) else None


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


def _count(quantity: Any) -> int:
    text = str(quantity)
    return int(text) if COUNT.fullmatch(text) else 0
