"""Where the scheduler of Kubernetes may put a pod: the filters for node selector, node affinity and taints.

After https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ (a node must match nodeSelector AND any one
of nodeSelectorTerms; all expressions of a term hold; In, NotIn, Exists, DoesNotExist, Gt, Lt) and
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ (a toleration without operator means Equal; an
empty key with Exists tolerates all; an empty effect matches all effects; NoSchedule and NoExecute keep pods away,
PreferNoSchedule does not). Preferences, resources and affinity to other pods are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Taint:
    """A mark that keeps pods away."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the scheduler sees it."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...] = ()


def admits(node: Node, spec: Mapping[str, Any]) -> bool:
    """Whether a pod of this spec may run on the node."""
    selector = spec.get("nodeSelector") or {}
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    return (
        selector.items() <= node.labels.items()
        and (required is None or any(_term(node, term) for term in required["nodeSelectorTerms"]))
        and all(
            taint.effect == "PreferNoSchedule" or any(_tolerates(each, taint) for each in spec.get("tolerations") or [])
            for taint in node.taints
        )
    )


def _term(node: Node, term: Mapping[str, Any]) -> bool:
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    # An empty term matches nothing.
    return bool(expressions or fields) and all(
        [_holds(node.labels, each) for each in expressions] + [_holds({"metadata.name": node.name}, each) for each in fields]
    )


def _holds(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    found, values = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "Gt":
            return found is not None and int(found) > int(values[0])
        case "Lt":
            return found is not None and int(found) < int(values[0])
    raise ValueError(f"{expression['operator']} is no operator")


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if toleration.get("effect") not in {None, "", taint.effect}:
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in {None, "", taint.key}
    return toleration.get("key") == taint.key and (toleration.get("value") or "") == taint.value
