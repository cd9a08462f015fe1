"""The client's types are the API's: they are compared with its specification, so that neither changes alone."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from telemetry.api import create_app
from telemetry.client import (
    Event,
    FleetReading,
    Gpu,
    GpuHealth,
    GroupAggregate,
    Host,
    Latest,
    Metric,
    Reading,
    Reason,
    Upload,
    Usage,
)
from telemetry.client.api import Client
from telemetry.client.queries import WORDS
from telemetry.client.resources import LISTS, checked
from telemetry.client.tables import FileEncoding
from telemetry.readings.aggregates import Aggregate, FleetAggregate, Group
from telemetry.settings import Settings
from telemetry.store.read.usage import FIGURES

PLAIN = {"string": str, "integer": int, "number": float, "boolean": bool, "null": type(None)}


@pytest.fixture(scope="module")
def specification() -> Iterator[dict[str, Any]]:
    """The specification, for which nothing is connected."""
    app = create_app(Settings.load({}))
    document: dict[str, Any] = app.test_client().get("/api/v1/openapi.json").get_json()
    yield document
    app.extensions["connections"].close()


def of_schema(schema: dict[str, Any]) -> Any:
    """The Python type of a JSON Schema."""
    match schema:
        case {"anyOf": options}:
            return frozenset(of_schema(option) for option in options)
        case {"enum": values}:
            return tuple(values)
        case {"$ref": reference}:
            return reference.rpartition("/")[2]
        case {"type": "array", "items": items}:
            return (list, of_schema(items))
        case {"type": "object", "additionalProperties": values}:
            return (dict, of_schema(values))
    return PLAIN[schema["type"]]


def of_type(hint: Any) -> Any:
    """A type hint in the same form."""
    if get_origin(hint) in {Union, types.UnionType}:
        return frozenset(of_type(option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) is list:
        return (list, of_type(get_args(hint)[0]))
    if is_typeddict(hint):
        return hint.__name__
    if get_origin(hint) is dict:
        return (dict, of_type(get_args(hint)[1]))
    return hint


DOCUMENTS = [Event, FleetReading, Gpu, GpuHealth, GroupAggregate, Host, Latest, Metric, Reading, Reason, Upload, Usage]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_has_the_fields_and_types_of_the_specification(document: type, specification: dict[str, Any]) -> None:
    schema = specification["components"]["schemas"][document.__name__]
    expected = {name: of_schema(field) for name, field in schema["properties"].items()}
    assert {name: of_type(hint) for name, hint in get_type_hints(document).items()} == expected
    # Two documents have fields that depend on the question.
    always = {GroupAggregate: {"value", "readings"}, Usage: {*FIGURES}}
    assert set(schema["required"]) == always.get(document, set(expected))


def parameter(specification: dict[str, Any], path: str, name: str) -> dict[str, Any]:
    parameters = specification["paths"][f"/api/v1/{path}"]["get"]["parameters"]
    (schema,) = [each["schema"] for each in parameters if each["name"] == name]
    return dict(schema)


def test_the_lists_are_those_of_the_specification(specification: dict[str, Any]) -> None:
    paths = [path.removeprefix("/api/v1/") for path, methods in specification["paths"].items() if is_list(methods)]
    assert sorted(path for path in paths if "{" not in path) == sorted(LISTS)
    for path in paths:
        assert checked(path.replace("{gpu}", "GPU-a0")), path


def is_list(methods: dict[str, Any]) -> bool:
    return "text/csv" in methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})


@pytest.mark.parametrize(
    ("method", "path"),
    [("readings", "gpus/{gpu}/telemetry"), ("arrow", "gpus/{gpu}/telemetry"), ("query", "query"), ("usage", "usage")],
)
def test_what_a_method_takes_is_a_parameter_of_the_specification(method: str, path: str, specification: dict[str, Any]) -> None:
    parameters = inspect.signature(getattr(Client, method)).parameters.values()
    names = {WORDS.get(one.name, one.name) for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}
    there = {one["name"] for one in specification["paths"][f"/api/v1/{path}"]["get"]["parameters"]}
    assert names <= there
    assert {"start_time", "end_time"} <= there


def test_the_words_of_queries_are_those_of_the_specification(specification: dict[str, Any]) -> None:
    assert parameter(specification, "gpus/{gpu}/telemetry", "agg")["enum"] == list(get_args(Aggregate))
    assert parameter(specification, "query", "agg")["enum"] == list(get_args(FleetAggregate))
    assert parameter(specification, "query", "by")["items"]["anyOf"][0]["enum"] == list(get_args(Group))
    assert {"json", *get_args(FileEncoding)} == set(parameter(specification, "query", "format")["enum"])
