"""Renders the chart in process, with the Helm library that `helm` is made of, and takes the objects apart."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).resolve().parents[2] / "helm" / "telemetry-pipeline"
RELEASE = "t"
Object = dict[str, Any]
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def texts(values: Mapping[str, Any], *, revision: int = 1, release: str = RELEASE) -> list[str]:
    """The manifests of a release with these values, as text. Raises HelmError as `helm template` would."""
    rendered = _chart().render(dict(values), name=release, namespace="gpu", revision=revision, is_upgrade=revision > 1)
    return [text for path, text in sorted(rendered.items()) if not path.endswith("NOTES.txt")]


def notes(values: Mapping[str, Any]) -> str:
    """What a person reads who installs a release with these values."""
    rendered = _chart().render(dict(values), name=RELEASE, namespace="gpu")
    (text,) = [text for path, text in rendered.items() if path.endswith("NOTES.txt")]
    return text


def render(values: Mapping[str, Any], *, revision: int = 1, release: str = RELEASE) -> list[Object]:
    """The objects of a release with these values."""
    return [each for text in texts(values, revision=revision, release=release) for each in yaml.load_all(text, Loader) if each]


def values_of(*files: str, sets: tuple[str, ...] = ()) -> dict[str, Any]:
    """Values as `-f file … --set expression …` makes them of files of the chart."""
    values: dict[str, Any] = {}
    for file in files:
        values = merged(values, yaml.safe_load((CHART / file).read_text()))
    for expression in sets:
        values = merged(values, helm_python.parse_set_string(expression))
    return values


def merged(below: Any, above: Any) -> Any:
    """What `--set` makes of values: maps by key, lists by index, where None is a place that the expression left out."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: merged(below.get(key), value) for key, value in above.items()}
    if isinstance(below, list) and isinstance(above, list):
        longer = below + [None] * (len(above) - len(below))
        return [
            merged(longer[i], above[i]) if i < len(above) and above[i] is not None else longer[i] for i in range(len(longer))
        ]
    return copy.deepcopy(above)


def named(objects: list[Object], kind: str, suffix: str) -> Object:
    """The one object of a kind whose name ends so."""
    found = [each for each in objects if each["kind"] == kind and each["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, f"{len(found)} objects are a {kind} …{suffix}"
    return found[0]


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Each pod that the objects make: name of its component, and the pod as {metadata, spec}."""
    for each in objects:
        pod = each if each["kind"] == "Pod" else each.get("spec", {}).get("template")
        if isinstance(pod, dict) and "containers" in pod.get("spec", {}):
            yield pod["metadata"]["labels"]["app.kubernetes.io/component"], pod


def pod_of(objects: list[Object], component: str) -> Object:
    """The pod of one component."""
    return dict(pods(objects))[component]


def variables(container: Object) -> dict[str, Any]:
    """A container's plain environment."""
    return {each["name"]: each.get("value") for each in container.get("env", [])}
