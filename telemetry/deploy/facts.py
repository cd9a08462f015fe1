"""What a cluster says that decides whether a release can run there. Only asks; `judgement` decides."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from telemetry.deploy.cluster import CORE, Cluster, ForbiddenError, path_of
from telemetry.deploy.rendered import Object, accounts, kinds

# What Helm does with each kind; it waits by watching, and keeps its releases in Secrets that it updates.
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Facts:
    """What was asked. A None stands for what this user may not ask."""

    version: str
    groups: frozenset[str]
    namespace: Object | None
    nodes: list[Object] | None
    classes: list[Object] | None
    quotas: list[Object]
    secrets: dict[str, Object]
    # Names of the ServiceAccounts that are there, of those that pods run as.
    accounts: frozenset[str] = frozenset()
    # Verb and kind that the user may not use.
    denied: list[tuple[str, str]] = field(default_factory=list)
    # What stands where the release would put its own, and whose it is.
    taken: list[tuple[str, str]] = field(default_factory=list)


def gather(cluster: Cluster, namespace: str, release: str, objects: Sequence[Object], secret_names: Sequence[str]) -> Facts:
    """Ask. Raises ClusterError where the cluster does not answer."""
    version, groups = cluster.version(), cluster.groups
    known = [(api_version, kind) for api_version, kind in kinds(objects) if api_version in groups]
    secrets = {name: cluster.seen(path_of(CORE, "secrets", namespace, name)) for name in secret_names}
    denied = _denied(cluster, namespace, [*known, (CORE, "Secret"), (CORE, "Pod"), (CORE, "Event")])
    try:
        present = cluster.get(path_of(CORE, "namespaces", None, namespace))
        if present is None and not cluster.may("create", CORE, "namespaces", ""):
            denied.append(("create", "namespaces"))
    except ForbiddenError:
        present = {"metadata": {"name": namespace}}
    return Facts(
        version=version,
        groups=groups,
        namespace=present,
        nodes=_listed(cluster, "/api/v1/nodes"),
        classes=_listed(cluster, "/apis/storage.k8s.io/v1/storageclasses"),
        quotas=_listed(cluster, path_of(CORE, "resourcequotas", namespace)) or [],
        secrets={name: secret for name, secret in secrets.items() if secret is not None},
        accounts=frozenset(
            name for name in accounts(objects) if _may_be(cluster, path_of(CORE, "serviceaccounts", namespace, name))
        ),
        denied=denied,
        taken=_taken(cluster, namespace, release, [each for each in objects if each["apiVersion"] in groups]),
    )


def _may_be(cluster: Cluster, path: str) -> bool:
    """Whether an object is there, or this user may not know."""
    try:
        return cluster.get(path) is not None
    except ForbiddenError:
        return True


def _listed(cluster: Cluster, path: str) -> list[Any] | None:
    try:
        return cluster.items(path)
    except ForbiddenError:
        return None


def _denied(cluster: Cluster, namespace: str, types: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    asked = [
        (verb, api_version, resource["name"])
        for api_version, kind in dict.fromkeys(types)
        if (resource := cluster.resource(api_version, kind)) is not None
        for verb in (("list",) if kind in {"Pod", "Event"} else VERBS)
    ]
    with ThreadPoolExecutor(max_workers=8) as pool:
        allowed = list(pool.map(lambda each: cluster.may(each[0], each[1], each[2], namespace), asked))
    return [(verb, plural) for (verb, _, plural), may in zip(asked, allowed, strict=True) if not may]


def _taken(cluster: Cluster, namespace: str, release: str, objects: Sequence[Object]) -> list[tuple[str, str]]:
    taken = []
    for each in objects:
        resource = cluster.resource(each["apiVersion"], each["kind"])
        if resource is None:
            continue
        name = each["metadata"]["name"]
        place = each["metadata"].get("namespace", namespace) if resource.get("namespaced") else None
        there = cluster.seen(path_of(each["apiVersion"], resource["name"], place, name))
        if there is not None and (owner := _owner(there)) != release:
            taken.append((f"{each['kind']} {name}", owner))
    return taken


def _owner(present: Object) -> str:
    """The release that an object belongs to; empty for none."""
    return str(present["metadata"].get("annotations", {}).get("meta.helm.sh/release-name", ""))
