"""Decides which GPUs each pod has, of what the API of its cluster says. What does not say it is never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from telemetry.record.cluster_objects import UUID, Claim, Node, Pod, Slice


@dataclass(frozen=True, slots=True)
class Has:
    """A GPU that a container has: by its UUID, or by node and index. `container` is empty where it is not known."""

    container: str
    uuid: str
    node: str = ""
    index: int = -1


@dataclass(frozen=True, slots=True)
class Known:
    """Which GPUs a pod has; and why it may have others, which are not known."""

    gpus: tuple[Has, ...] = ()
    lacks: str = ""


class Cluster:
    """What says which GPUs pods have, at one time."""

    def __init__(self, claims: Iterable[Claim], slices: Iterable[Slice], nodes: Iterable[Node]) -> None:
        self._claims: dict[str, list[Claim]] = {}
        for claim in claims:
            for pod in claim.pods:
                self._claims.setdefault(pod, []).append(claim)
        self._nodes = {node.name: node for node in nodes}
        # Of a pool only its newest generation counts.
        self._pools: dict[tuple[str, str], tuple[int, dict[str, str]]] = {}
        for each in slices:
            newest, devices = self._pools.get(each.pool, (-1, {}))
            if each.generation >= newest:
                of_before = devices if each.generation == newest else {}
                self._pools[each.pool] = each.generation, of_before | dict(each.devices)

    def known(self, uid: str, pod: Pod) -> Known:
        """Which GPUs a pod has."""
        by_claim = self._by_claim(uid, pod)
        by_plugin = self._by_plugin(pod) if pod.asks and not by_claim.gpus else Known()
        gpus = dict.fromkeys((*by_claim.gpus, *by_plugin.gpus))
        return Known(tuple(gpus), by_claim.lacks or by_plugin.lacks)

    def _by_claim(self, uid: str, pod: Pod) -> Known:
        gpus, lacks = list[Has](), ""
        for claim in self._claims.get(uid, []):
            for request, driver, pool, device in claim.devices:
                uuid = self._pools.get((driver, pool), (0, dict[str, str]()))[1].get(device, "")
                if not uuid:
                    lacks = f"device {device} of {driver}, which gives it no UUID of a whole GPU"
                    continue
                gpus += [Has(container, uuid) for container in _containers(pod, claim.name, request) or ("",)]
        return Known(tuple(gpus), lacks)

    def _by_plugin(self, pod: Pod) -> Known:
        node = self._nodes.get(pod.node)
        count = sum(pod.asks.values())
        lacks = f"{count} of {pod.node}: a device plugin gave them, which tells the node alone"
        if node is None:
            return Known(lacks=lacks)
        if pod.hami:
            # Anybody may write an annotation. HAMi knows its GPUs, and a part of one (MIG) is written in another way.
            is_true = all(UUID.fullmatch(uuid) and uuid in node.hami for _, uuid in pod.hami)
            return Known(tuple(Has(*each) for each in pod.hami)) if is_true else Known(lacks=lacks)
        if not node.gpus or pod.whole != node.gpus:
            return Known(lacks=lacks)
        container = next(iter(pod.asks)) if len(pod.asks) == 1 else ""
        return Known(tuple(Has(container, "", pod.node, index) for index in range(node.gpus)))


def _containers(pod: Pod, claim: str, request: str) -> Mapping[str, None]:
    """The containers that use what a claim has for a request. `request/alternative` is a request with alternatives."""
    requests = ("", request, request.partition("/")[0])
    return dict.fromkeys(name for each in requests for name in pod.claims.get((claim, each), ()))
