"""`?pretty`: the same JSON, for people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from telemetry.api.specification import operations

JSON = "application/json"
# What differs from request to request.
VARYING = {"request_id", "silent_for_s"}


def said(text: str) -> Any:
    """What a document says, but for what varies."""
    return json.loads(text, object_pairs_hook=lambda pairs: [pair for pair in pairs if pair[0] not in VARYING])


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/gpus", "/api/v1/gpus/GPU-a1", "/api/v1/gpus/GPU-a1/telemetry?step=1h&metric=DCGM_FI_DEV_GPU_UTIL"),
        *("/api/v1/metrics", "/api/v1/openapi.json", "/api/v1", "/api/v1/health/live", "/", "/api/v1/sources?limit=1"),
        *("/api/v1/gpus/none", "/api/v1/nothing", "/api/v1/gpus?colour=red"),
    ],
)
@pytest.mark.parametrize("value", ["", "true"])
def test_any_json_is_indented_and_says_the_same(client: FlaskClient, path: str, value: str) -> None:
    plain = client.get(path)
    pretty = client.get(f"{path}{'&' if '?' in path else '?'}pretty{value and '='}{value}")
    assert (pretty.status_code, pretty.mimetype) == (plain.status_code, plain.mimetype)
    assert said(pretty.text) == said(plain.text)
    assert pretty.text.startswith('{\n  "')
    assert pretty.text.endswith("\n}\n")
    assert pretty.headers["Content-Length"] == str(len(pretty.data))


@pytest.mark.usefixtures("fleet")
def test_labels_are_indented_too(client: FlaskClient) -> None:
    text = client.get("/api/v1/latest?max_age=3650d&pretty").text
    assert '\n      "labels": {' in text


@pytest.mark.usefixtures("fleet")
def test_it_changes_nothing_of_what_is_asked(client: FlaskClient) -> None:
    path = "/api/v1/gpus/GPU-a1/telemetry?limit=3"
    page = client.get(path).get_json()
    following = client.get(f"{path}&pretty&cursor={page['next_cursor']}")
    assert following.status_code == 200
    assert client.get(f"{path}&pretty=false").data == client.get(path).data
    assert client.get(f"{path}&pretty&format=csv").data == client.get(f"{path}&format=csv").data
    tag = client.get(f"{path}&pretty").headers["ETag"]
    assert client.get(f"{path}&pretty", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    ("query", "says"),
    [("pretty=1", "true, false or empty"), ("pretty=maybe", "true, false or empty"), ("pretty&pretty", "given 2 times")],
)
def test_what_it_cannot_be_is_refused(client: FlaskClient, query: str, says: str) -> None:
    problem = client.get(f"/api/v1/stats?{query}")
    assert (problem.status_code, problem.get_json()["parameter"]) == (400, "pretty")
    assert says in problem.get_json()["detail"]


def test_the_specification_has_it_where_json_is_answered(client: FlaskClient) -> None:
    paths = client.get("/api/v1/openapi.json").get_json()["paths"]
    for path, method, declared in operations(client.application):
        names = [parameter["name"] for parameter in paths[path][method]["parameters"]]
        assert names.count("pretty") == (JSON in declared.media), path
    assert client.get("/metrics?pretty").status_code == 400
