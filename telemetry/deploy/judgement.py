"""Decides from what a cluster says what keeps a release from running there, each with its mend. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from telemetry.deploy import nodes, quotas
from telemetry.deploy.facts import Facts
from telemetry.deploy.helm import numbers
from telemetry.deploy.rendered import Object, accounts, claims, kinds, reads_the_node, secrets, workloads

MIN_VERSION = (1, 29)
POD_SECURITY = "pod-security.kubernetes.io/enforce"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
# What brings the kinds that are not of Kubernetes itself, and the key that switches them off.
OPERATORS = {
    "keda.sh": ("KEDA", "collector.keda.enabled"),
    "monitoring.coreos.com": ("the Prometheus operator", "metrics.podMonitor.enabled and metrics.prometheusRule.enabled"),
    "gateway.networking.k8s.io": ("the Gateway API", "httpRoute.enabled"),
}
Release = Mapping[str, Any]


class Problem(NamedTuple):
    """What is wrong, and the mend."""

    says: str
    mend: str


def judge(
    facts: Facts, objects: Sequence[Object], namespace: str, release: Release | None, made: Sequence[str]
) -> list[Problem]:
    """All problems at once. `made` are the Secrets that the deployment makes itself."""
    return [
        *_version(facts),
        *_kinds(facts, objects),
        *_rights(facts, namespace),
        *_pod_security(facts, objects, namespace),
        *_nodes(facts, objects),
        *_classes(facts, objects),
        *_secrets(facts, objects, made),
        *_accounts(facts, objects),
        *_quotas(facts, objects, new=release is None),
        *_names(facts),
        *_release(release),
    ]


def _version(facts: Facts) -> Iterator[Problem]:
    if facts.version and numbers(facts.version) < MIN_VERSION:
        yield Problem(f"Kubernetes is {facts.version}", f"upgrade it to {'.'.join(map(str, MIN_VERSION))} or later")


def _kinds(facts: Facts, objects: Sequence[Object]) -> Iterator[Problem]:
    for api_version in dict.fromkeys(api_version for api_version, _ in kinds(objects)):
        if api_version in facts.groups:
            continue
        unknown = ", ".join(sorted({kind for version, kind in kinds(objects) if version == api_version}))
        operator, key = OPERATORS.get(api_version.partition("/")[0], ("what brings it", "what asks for it"))
        yield Problem(f"the cluster does not know {unknown} of {api_version}", f"install {operator}, or switch {key} off")


def _rights(facts: Facts, namespace: str) -> Iterator[Problem]:
    by_resource: dict[str, list[str]] = {}
    for verb, resource in facts.denied:
        by_resource.setdefault(resource, []).append(verb)
    if by_resource:
        shown = "; ".join(f"{', '.join(verbs)} {resource}" for resource, verbs in by_resource.items())
        yield Problem(
            f"the user of this context may not, in namespace {namespace}: {shown}",
            f"bind the cluster role admin or edit in {namespace} to that user, or grant these verbs",
        )


def _pod_security(facts: Facts, objects: Sequence[Object], namespace: str) -> Iterator[Problem]:
    level = ((facts.namespace or {}).get("metadata", {}).get("labels") or {}).get(POD_SECURITY, "privileged")
    if level != "privileged" and (reading := reads_the_node(objects)):
        yield Problem(
            f"the namespace {namespace} enforces Pod Security {level}, and {', '.join(reading)} reads a directory of its node",
            f"kubectl label --overwrite namespace {namespace} {POD_SECURITY}=privileged, or set streamer.files.existingClaim",
        )


def _nodes(facts: Facts, objects: Sequence[Object]) -> Iterator[Problem]:
    if facts.nodes is None:
        yield Problem(
            "the nodes cannot be listed with this user, so nobody can tell where pods may run", "grant it `list nodes`"
        )
        return
    for workload in workloads(objects):
        if not nodes.admitting(facts.nodes, workload.pod["spec"]):
            yield Problem(
                f"no node takes pods of {workload.component}: {nodes.explained(facts.nodes, workload.pod['spec'])}",
                f"label nodes, or set {workload.component}.nodeSelector, .tolerations or .affinity",
            )


def _classes(facts: Facts, objects: Sequence[Object]) -> Iterator[Problem]:
    if facts.classes is None:
        return
    names = {each["metadata"]["name"] for each in facts.classes}
    defaults = [each for each in facts.classes if each["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true"]
    for claim in claims(objects):
        there = ", ".join(sorted(names)) or "none"
        if claim.storage_class and claim.storage_class not in names:
            yield Problem(f"{claim.name} wants the storage class {claim.storage_class}", f"name one that is there: {there}")
        if not claim.storage_class and not defaults:
            yield Problem(
                f"{claim.name} wants the default storage class, and there is none",
                f"set persistence.storageClass to one that is there: {there}",
            )


def _secrets(facts: Facts, objects: Sequence[Object], made: Sequence[str]) -> Iterator[Problem]:
    for name, keys in secrets(objects).items():
        if name in made:
            continue
        if name not in facts.secrets:
            instead = ", or give the password" if any(key.endswith("password") for key in keys) else ""
            yield Problem(f"there is no Secret {name}", f"make it, with the keys {', '.join(sorted(keys))}{instead}")
        elif missing := keys - set(facts.secrets[name].get("data") or {}):
            yield Problem(f"the Secret {name} lacks {', '.join(sorted(missing))}", "add the keys, or name those that it has")


def _accounts(facts: Facts, objects: Sequence[Object]) -> Iterator[Problem]:
    for name in sorted(accounts(objects) - facts.accounts):
        yield Problem(f"there is no ServiceAccount {name}", "make it, or set serviceAccount.create=true")


def _quotas(facts: Facts, objects: Sequence[Object], *, new: bool) -> Iterator[Problem]:
    working = list(workloads(objects))
    counts = {each.name: len(nodes.admitting(facts.nodes or [], each.pod["spec"])) for each in working if each.replicas is None}
    for says, mend in quotas.problems(facts.quotas, working, list(claims(objects)), counts, new=new):
        yield Problem(says, mend)


def _names(facts: Facts) -> Iterator[Problem]:
    for what, owner in facts.taken:
        whose = f"belongs to the release {owner}" if owner else "belongs to no release"
        yield Problem(f"{what} is there and {whose}", "remove it, or take another --namespace")


def _release(release: Release | None) -> Iterator[Problem]:
    if release is not None and str(release.get("status", "")).startswith("pending-"):
        yield Problem(
            f"the release {release['name']} is {release['status']}: another deployment runs, or was cut off",
            f"wait for it, or `helm rollback {release['name']}`; after a first installation `helm uninstall {release['name']}`",
        )
    if release is not None and not str(release.get("chart", "")).startswith("telemetry-pipeline-"):
        yield Problem(f"the release {release['name']} is one of the chart {release.get('chart')}", "take another --namespace")
