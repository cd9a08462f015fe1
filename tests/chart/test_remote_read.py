"""The values by which a Prometheus of the operator reads here: they lead to the API, with a key, through the policies."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from telemetry.api import create_app
from telemetry.api.specification import operations
from telemetry.settings import Settings
from tests.chart.cases import EDGE, PASSWORD
from tests.chart.rendering import merged, named, notes, render, values_of

# Of RemoteReadSpec in the operator's monitoring.coreos.com/v1.
FIELDS = {"url", "authorization", "filterExternalLabels", "readRecent"}


def read(**more: Any) -> dict[str, Any]:
    """The values of a release with the piece."""
    values: dict[str, Any] = merged(PASSWORD, {"metrics": {"remoteRead": {"enabled": True, **more}}})
    return values


def entry(values: dict[str, Any]) -> dict[str, Any]:
    """What the piece adds to that Prometheus."""
    text = named(render(values), "ConfigMap", "-remote-read")["data"]["values.yaml"]
    (found,) = yaml.safe_load(text)["prometheus"]["prometheusSpec"]["remoteRead"]
    assert found.keys() == FIELDS
    return dict(found)


def test_it_leads_to_the_service_of_the_api(settings: Settings) -> None:
    values = merged(read(), {"api": {"service": {"port": 8000}}})
    url = urlsplit(entry(values)["url"])
    service = named(render(values), "Service", "-api")
    assert url.netloc == f"{service['metadata']['name']}.gpu.svc:8000"
    assert [each["port"] for each in service["spec"]["ports"]] == [8000]
    app = create_app(settings)
    assert [method for path, method, _ in operations(app) if path == url.path] == ["post"]
    app.extensions["connections"].close()


def test_it_has_the_key_of_a_secret_and_no_labels_of_that_prometheus() -> None:
    found = entry(read(existingSecret="reader", existingSecretKey="token"))
    assert found["authorization"] == {"credentials": {"name": "reader", "key": "token"}}
    assert found["filterExternalLabels"] is False


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        # That Prometheus has the GPUs of now itself.
        ({"podMonitor": {"enabled": True}}, False),
        ({"podMonitor": {"enabled": True}, "remoteRead": {"readRecent": True}}, True),
        ({"remoteRead": {"readRecent": False}}, False),
    ],
)
def test_no_gpu_is_counted_twice(more: dict[str, Any], expected: bool) -> None:
    assert entry(merged(read(), {"metrics": more}))["readRecent"] is expected


def test_that_prometheus_comes_through_where_others_do_not() -> None:
    closed = merged(read(namespace="watch"), {"networkPolicy": {"apiFrom": [{"podSelector": {"matchLabels": {"a": "b"}}}]}})
    rules = named(render(closed), "NetworkPolicy", "-api")["spec"]["ingress"]
    (rule,) = [each for each in rules if {"port": 8080} in each["ports"]]
    assert {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "watch"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
    } in rule["from"]


def test_the_notes_say_how_to_make_the_key_and_where_the_values_are() -> None:
    said = notes(read(namespace="watch"))
    assert "telemetry apikey create prometheus --scope read" in said
    assert "kubectl -n watch create secret generic telemetry-read --from-literal=key=KEY" in said
    assert "get configmap t-telemetry-pipeline-remote-read" in said


def test_an_edge_has_no_api_to_read() -> None:
    objects = render(merged(values_of(EDGE), {"metrics": {"remoteRead": {"enabled": True}}}))
    assert not [each for each in objects if each["metadata"]["name"].endswith("-remote-read")]
