"""Whether a release fits into the quotas of its namespace. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from telemetry.deploy.rendered import Claim, Workload

FACTORS = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("0.001"), "": Decimal(1),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}  # fmt: skip
# The names of a quota, and where a container says the same.
OF_CONTAINERS = {
    "requests.cpu": ("requests", "cpu"), "cpu": ("requests", "cpu"), "limits.cpu": ("limits", "cpu"),
    "requests.memory": ("requests", "memory"), "memory": ("requests", "memory"), "limits.memory": ("limits", "memory"),
}  # fmt: skip


def problems(
    quotas: Sequence[Mapping[str, Any]],
    workloads: Sequence[Workload],
    claims: Sequence[Claim],
    nodes: Mapping[str, int],
    *,
    new: bool,
) -> Iterator[tuple[str, str]]:
    """What does not fit, each with its mend. `nodes` counts those of each DaemonSet.

    Sums count for a `new` release only: what is used already holds the pods of one that is there.
    """
    for quota in quotas:
        name, status = quota["metadata"]["name"], quota.get("status", {})
        if quota.get("spec", {}).get("scopes") or quota.get("spec", {}).get("scopeSelector"):
            continue
        for what, hard in status.get("hard", {}).items():
            missing = [workload.name for workload in workloads if what in OF_CONTAINERS and _unsaid(workload, what)]
            if missing:
                yield (
                    f"the quota {name} bounds {what}, and pods of {', '.join(missing)} do not say theirs, so none may be made",
                    f"set resources.{'.'.join(OF_CONTAINERS[what])} of that component, or a LimitRange with a default",
                )
            need = _need(what, workloads, claims, nodes)
            free = quantity(hard) - quantity(status.get("used", {}).get(what, "0"))
            if new and need > free:
                yield (
                    f"the quota {name} leaves {free:f} of {what}, and the release needs {need:f}",
                    "raise the quota, or ask for fewer replicas or resources",
                )


def quantity(text: Any) -> Decimal:
    """A quantity of Kubernetes as a number of its unit."""
    word = str(text)
    number = word.rstrip("numkKMGTPEi")
    return Decimal(number) * FACTORS[word[len(number) :]]


def _unsaid(workload: Workload, what: str) -> bool:
    kind, name = OF_CONTAINERS[what]
    said = [container.get("resources", {}) for container in _containers(workload)]
    # A limit stands for a request that is not said.
    return any(name not in (each.get(kind) or {}) and name not in (each.get("limits") or {}) for each in said)


def _need(what: str, workloads: Sequence[Workload], claims: Sequence[Claim], nodes: Mapping[str, int]) -> Decimal:
    counts = {each.name: each.replicas if each.replicas is not None else nodes.get(each.name, 0) for each in workloads}
    if what in {"pods", "count/pods"}:
        return Decimal(sum(counts.values()))
    if what in {"persistentvolumeclaims", "count/persistentvolumeclaims"}:
        return Decimal(len(claims))
    if what not in OF_CONTAINERS:
        return Decimal(0)
    return sum((counts[each.name] * _of_pod(each, *OF_CONTAINERS[what]) for each in workloads), Decimal(0))


def _of_pod(workload: Workload, kind: str, name: str) -> Decimal:
    """What a pod counts for: its containers together, or the largest of those that run before them."""
    said = {True: Decimal(0), False: Decimal(0)}
    for container in workload.pod["spec"]["containers"]:
        said[False] += _said(container, kind, name)
    for container in workload.pod["spec"].get("initContainers", []):
        said[True] = max(said[True], _said(container, kind, name))
    return max(said.values())


def _said(container: Mapping[str, Any], kind: str, name: str) -> Decimal:
    resources = container.get("resources", {})
    return quantity((resources.get(kind) or {}).get(name, (resources.get("limits") or {}).get(name, "0")))


def _containers(workload: Workload) -> list[Any]:
    return [*workload.pod["spec"]["containers"], *workload.pod["spec"].get("initContainers", [])]
