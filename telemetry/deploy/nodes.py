"""Which nodes a pod may run on: node selector, node affinity, taints. Pure; resources are not looked at.

After https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# Labels that each node has of its own, which say nothing about what was meant.
OF_ONE_NODE = {"kubernetes.io/hostname"}


def admitting(nodes: Sequence[Object], spec: Mapping[str, Any]) -> list[str]:
    """The names of the nodes that admit a pod."""
    return [node["metadata"]["name"] for node in nodes if _selected(node, spec) and not _untolerated(node, spec)]


def explained(nodes: Sequence[Object], spec: Mapping[str, Any]) -> str:
    """Why none does: the taints that are not tolerated, or what was asked for and the labels that there are."""
    selected = [node for node in nodes if _selected(node, spec)]
    if selected:
        taints = sorted({_shown(taint) for node in selected for taint in _untolerated(node, spec)})
        return f"{len(selected)} nodes have the labels, but taints that are not tolerated: {', '.join(taints)}"
    labels = sorted(
        {
            f"{key}={value}"
            for node in nodes
            for key, value in node["metadata"].get("labels", {}).items()
            if key not in OF_ONE_NODE
        }
    )
    return f"asked for: {_asked(spec)}; the labels of the {len(nodes)} nodes are: {', '.join(labels) or 'none'}"


def _asked(spec: Mapping[str, Any]) -> str:
    words = [f"{key}={value}" for key, value in (spec.get("nodeSelector") or {}).items()]
    for term in (_required(spec) or {}).get("nodeSelectorTerms", []):
        words += [
            f"{each['key']} {each['operator']} {', '.join(each.get('values') or [])}".strip()
            for each in term.get("matchExpressions") or []
        ]
    return "; ".join(words) or "any node"


def _required(spec: Mapping[str, Any]) -> Any:
    return ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)


def _selected(node: Object, spec: Mapping[str, Any]) -> bool:
    labels, required = node["metadata"].get("labels", {}), _required(spec)
    selector = spec.get("nodeSelector") or {}
    return selector.items() <= labels.items() and (
        required is None or any(_term(node, labels, term) for term in required["nodeSelectorTerms"])
    )


def _term(node: Object, labels: Mapping[str, str], term: Mapping[str, Any]) -> bool:
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    # An empty term selects nothing.
    return bool(expressions or fields) and all(
        [_holds(labels, each) for each in expressions]
        + [_holds({"metadata.name": node["metadata"]["name"]}, each) for each in fields]
    )


def _holds(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    present, values = labels.get(expression["key"]), expression.get("values") or []
    operator = expression["operator"]
    if operator in {"Gt", "Lt"}:
        if present is None or not present.isdigit():
            return False
        return int(present) > int(values[0]) if operator == "Gt" else int(present) < int(values[0])
    is_there = present is not None
    return {"In": present in values, "NotIn": present not in values, "Exists": is_there, "DoesNotExist": not is_there}[operator]


def _untolerated(node: Object, spec: Mapping[str, Any]) -> list[Object]:
    taints = [taint for taint in node.get("spec", {}).get("taints") or [] if taint["effect"] != "PreferNoSchedule"]
    return [taint for taint in taints if not any(_tolerates(each, taint) for each in spec.get("tolerations") or [])]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in {None, "", taint["effect"]}:
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in {None, "", taint["key"]}
    return toleration.get("key") == taint["key"] and (toleration.get("value") or "") == (taint.get("value") or "")


def _shown(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"
