"""Rendered objects against Kubernetes' own schemas, and against the manifests that were looked at and kept.

`GOLDEN=new pytest tests/chart` writes the kept manifests anew; the change is then to be read as any other.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate.utils as schemas
import pytest
import yaml
from referencing import Registry, Resource

from tests.chart.cases import CASES
from tests.chart.rendering import CHART, Object, render

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted({schemas.major_minor(each) for each in schemas.all_versions()}, key=lambda v: int(v.split(".")[1]))[-3:]
CUSTOM = {"monitoring.coreos.com/v1", "keda.sh/v1alpha1", "gateway.networking.k8s.io/v1"}


@functools.cache
def validator(version: str, kind: str, api_version: str) -> Any:
    """A strict validator; kubernetes_validate.validate reads 3 MB anew for each object."""
    group, _, rest = api_version.rpartition("/")
    name = f"{kind.lower()}-{group.split('.')[0] + '-' if group else ''}{rest}.json"
    directory = f"kubernetes-json-schema/v{version}.0-local-strict"
    schema = schemas.schema_contents(f"{directory}/{name}", version)
    return jsonschema.Draft202012Validator(schema, registry=definitions(directory))


@functools.cache
def definitions(directory: str) -> Any:
    return Resource.from_contents(schemas.schema_contents(f"{directory}/_definitions.json", directory)) @ Registry()


def check(objects: list[Object], version: str) -> None:
    for each in objects:
        if each["apiVersion"] not in CUSTOM:
            validator(version, each["kind"], each["apiVersion"]).validate(each)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_objects_are_what_kubernetes_takes(case: str, version: str) -> None:
    objects = render(CASES[case])
    check(objects, version)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(names) == len(set(names))


def test_the_check_knows_a_wrong_field() -> None:
    objects = render(CASES["edge"])
    next(each for each in objects if each["kind"] == "DaemonSet")["spec"]["template"]["spec"]["nodeSelektor"] = {}
    with pytest.raises(jsonschema.ValidationError, match="nodeSelektor"):
        check(objects, VERSIONS[-1])


@pytest.mark.parametrize("case", CASES)
def test_manifests_are_those_that_were_kept(case: str) -> None:
    objects = json.loads(json.dumps(render(CASES[case])))
    text = yaml.safe_dump_all(objects, sort_keys=True, width=160)
    path = GOLDEN / f"{case}.yaml"
    if os.environ.get("GOLDEN") == "new":
        path.write_text(text)
    assert path.read_text() == text, f"{path.name} differs from what {CHART.name} renders; see this module"


def test_no_manifest_is_kept_for_nothing() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(CASES)
