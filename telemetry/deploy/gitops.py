"""Writes what tools need that deploy from a repository: values or manifests of each site, and a way to apply them.

No cluster is asked, and no password is written: the Secrets that the files name must be in the clusters beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from telemetry.deploy import preflight, values
from telemetry.deploy.inventory import ROLES, Inventory, Site
from telemetry.deploy.preflight import Deployment
from telemetry.deploy.rendered import installed
from telemetry.deploy.rendered import secrets as mounted

Form = Literal["values", "manifests"]
CHART_PATH = "helm/telemetry-pipeline"
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Repository:
    """Where chart and files stand: the path is that of the files."""

    url: str
    revision: str
    path: str


def written(deployment: Deployment, sites: Sequence[Site], repository: Repository, form: Form) -> dict[str, str]:
    """The files by their paths. Raises HelmError where the chart refuses the values."""
    inventory = deployment.inventory
    files: dict[str, str] = {}
    for site in sites:
        objects = _objects(deployment, site)
        whole = merged_values(deployment, site)
        files[f"{folder(site)}/{form}.yaml"] = _yaml(objects) if form == "manifests" else _yaml([whole])
        files[f"flux/{folder(site)}.yaml"] = _yaml(flux(site, inventory, repository, whole, form))
        needed = "".join(f"{name}: {', '.join(sorted(keys))}\n" for name, keys in mounted(objects).items())
        files[f"{folder(site)}/secrets.txt"] = needed
    files["argocd/applicationset.yaml"] = _yaml([application_set(sites, inventory, repository, form)])
    return files


def folder(site: Site) -> str:
    """The folder of a site."""
    return f"{site.role}-{site.name}"


def have(deployment: Deployment, site: Site) -> set[str]:
    """The Secrets that a site will have. A broker of another place has a password, as all clusters reach it."""
    assumed = {values.BROKER_SECRET} if deployment.inventory.broker.is_elsewhere else set()
    return {*preflight.secrets_of(deployment, site), *assumed}


def merged_values(deployment: Deployment, site: Site) -> Object:
    """One file of values, as Helm merges those below, what is made, and those above."""
    below, above = values.files(site, deployment.inventory, deployment.helm.chart)
    whole: Object = {}
    made = values.made(site, deployment.inventory, deployment.users, have=have(deployment, site))
    for layer in (*map(_read, below), made, *map(_read, above)):
        whole = merged(whole, layer)
    return whole


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Object:
    """What Helm makes of two files: maps are merged, anything else is replaced."""
    both = {**below, **above}
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            both[name] = merged(below[name], value)
    return both


def application_set(sites: Sequence[Site], inventory: Inventory, repository: Repository, form: Form) -> Object:
    """An ApplicationSet of Argo CD: an application a site, the centre before the edges where its controller has RollingSync."""
    elements = [{"site": folder(site), "role": site.role, "cluster": site.context, "release": site.release} for site in sites]
    # A quoted brace is Go's, not Python's.
    path = f"{repository.path}/{{{{.site}}}}"
    source: Object = {"repoURL": repository.url, "targetRevision": repository.revision}
    if form == "manifests":
        sources = [source | {"path": path, "directory": {"include": "manifests.yaml"}}]
    else:
        helm = {"releaseName": "{{.release}}", "valueFiles": [f"$files/{path}/values.yaml"]}
        sources = [source | {"path": CHART_PATH, "helm": helm}, source | {"ref": "files"}]
    steps = [{"matchExpressions": [{"key": "role", "operator": "In", "values": [role]}]} for role in ROLES]
    application = {
        "metadata": {"name": "{{.site}}", "labels": {"role": "{{.role}}"}},
        "spec": {
            "project": "default",
            "sources": sources,
            "destination": {"name": "{{.cluster}}", "namespace": inventory.namespace},
            "syncPolicy": {"automated": {}, "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"]},
        },
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "telemetry", "namespace": "argocd"},
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"list": {"elements": elements}}],
            "strategy": {"type": "RollingSync", "rollingSync": {"steps": steps}},
            "template": application,
        },
    }


def flux(site: Site, inventory: Inventory, repository: Repository, whole: Object, form: Form) -> list[Object]:
    """What Flux in the cluster of a site applies: the repository, and the release or the manifests."""
    of_flux = {"name": site.release, "namespace": "flux-system"}
    reference = {"kind": "GitRepository", "name": site.release}
    source = {"interval": "5m", "url": repository.url, "ref": {"branch": repository.revision}}
    made = [{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": of_flux, "spec": source}]
    if form == "manifests":
        applied = {"interval": "10m", "prune": True, "wait": True, "timeout": "5m", "sourceRef": reference}
        applied |= {"path": f"./{repository.path}/{folder(site)}"}
        return [
            *made,
            {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": of_flux, "spec": applied},
        ]
    chart = {"chart": f"./{CHART_PATH}", "sourceRef": reference, "reconcileStrategy": "Revision"}
    release = {
        "interval": "10m",
        "releaseName": site.release,
        "targetNamespace": inventory.namespace,
        "chart": {"spec": chart},
        "install": {"createNamespace": True, "remediation": {"retries": 3}},
        "upgrade": {"remediation": {"retries": 3}},
        "values": whole,
    }
    return [*made, {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": of_flux, "spec": release}]


def _objects(deployment: Deployment, site: Site) -> list[Object]:
    with ExitStack() as stack:
        files = preflight.sources(deployment, site, stack, have=have(deployment, site), token="")
        return installed(deployment.helm.template(site.release, deployment.inventory.namespace, files))


def _read(path: str) -> Object:
    return yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}


def _yaml(documents: Sequence[Object]) -> str:
    # Without aliases: the reader of a manifest is a person, too.
    dumper = type("Plain", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    return yaml.dump_all(documents, Dumper=dumper, sort_keys=False)
