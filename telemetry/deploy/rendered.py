"""Reads what a release consists of from its rendered objects: kinds, pods, claims, Secrets that must be there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
HOOK = "helm.sh/hook"
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")


@dataclass(frozen=True, slots=True)
class Workload:
    """What makes pods."""

    kind: str
    name: str
    # None for one on each node that is selected.
    replicas: int | None
    pod: Object

    @property
    def component(self) -> str:
        """The part of the product."""
        return str(self.pod["metadata"]["labels"].get("app.kubernetes.io/component", self.name))


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of a volume, and its class; None for the cluster's default."""

    name: str
    storage_class: str | None


def installed(objects: Sequence[Object]) -> list[Object]:
    """The objects without those of `helm test`."""
    return [each for each in objects if each["metadata"].get("annotations", {}).get(HOOK) != "test"]


def kinds(objects: Sequence[Object]) -> list[tuple[str, str]]:
    """The API version and kind of each object, once."""
    return list(dict.fromkeys((each["apiVersion"], each["kind"]) for each in objects))


def workloads(objects: Sequence[Object]) -> Iterator[Workload]:
    """What makes pods."""
    for each in objects:
        if each["kind"] in WORKLOADS:
            spec = each["spec"]
            replicas = None if each["kind"] == "DaemonSet" else int(spec.get("replicas", 1))
            yield Workload(each["kind"], each["metadata"]["name"], replicas, spec["template"])


def claims(objects: Sequence[Object]) -> Iterator[Claim]:
    """The claims that the release makes."""
    for each in objects:
        if each["kind"] == "PersistentVolumeClaim":
            yield Claim(each["metadata"]["name"], each["spec"].get("storageClassName"))
        for template in each.get("spec", {}).get("volumeClaimTemplates", []) if each["kind"] == "StatefulSet" else []:
            yield Claim(
                f"{template['metadata']['name']} of {each['metadata']['name']}", template["spec"].get("storageClassName")
            )


def secrets(objects: Sequence[Object]) -> dict[str, set[str]]:
    """The Secrets that pods mount and that the release does not make, with their keys."""
    own = {each["metadata"]["name"] for each in objects if each["kind"] == "Secret"}
    keys: dict[str, set[str]] = {}
    for workload in workloads(objects):
        for volume in workload.pod["spec"].get("volumes", []):
            sources = [each["secret"] for each in volume.get("projected", {}).get("sources", []) if "secret" in each]
            if "secret" in volume:
                sources.append({"name": volume["secret"]["secretName"], "items": volume["secret"].get("items", [])})
            for source in sources:
                if source["name"] not in own:
                    keys.setdefault(source["name"], set()).update(item["key"] for item in source.get("items", []))
    return keys


def accounts(objects: Sequence[Object]) -> set[str]:
    """The ServiceAccounts that pods run as and that the release does not make. Each namespace has `default`."""
    own = {each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount"}
    return {workload.pod["spec"].get("serviceAccountName", "default") for workload in workloads(objects)} - own - {"default"}


def reads_the_node(objects: Sequence[Object]) -> list[str]:
    """The workloads that mount a directory of their node, which Pod Security forbids below `privileged`."""
    return [
        workload.name
        for workload in workloads(objects)
        if any("hostPath" in volume for volume in workload.pod["spec"].get("volumes", []))
    ]
