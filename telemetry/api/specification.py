"""The OpenAPI 3.1 description of the API, made from the operations that its views declare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, get_origin

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import telemetry
from telemetry.api.access import SCOPES
from telemetry.api.errors import CODES, Problem
from telemetry.api.formats import MEDIA
from telemetry.api.operations import Operation
from telemetry.api.parameters import parameter_schema

REFERENCE = "#/components/schemas/{model}"
NAMES = {
    "gpu": "UUID of the GPU, or host:index",
    "host": "name of the host",
    "metric": "name of the metric",
    "upload": "id of the upload, from the answer to it",
}
# What any operation may be answered, and what those that are asked for a key or read the database may be beside.
ALWAYS = ("bad_request", "bad_parameter", "uri_too_long", "too_many_requests", "internal_error")
KEYED = ("unauthorized", "forbidden")
ASKING = ("query_timeout", "database_unavailable")


def build(app: Flask) -> dict[str, Any]:
    """The description, as its JSON document."""
    found = sorted(operations(app), key=lambda each: (each[0], each[1]))
    models = {model for _, _, each in found for model in each.answers.values()} | {Problem}
    keys = [(model, "serialization") for model in sorted(models, key=lambda model: model.__name__)]
    references, schemas = models_json_schema(keys, ref_template=REFERENCE)  # type: ignore[arg-type]
    named = {model: references[(model, "serialization")] for model in models}
    paths: dict[str, Any] = {}
    for path, method, each in found:
        paths.setdefault(path, {})[method] = _operation(path, each, named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "telemetry",
            "version": telemetry.__version__,
            "summary": "GPU telemetry: the fleet, its readings, and how they came in",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, made with `telemetry apikey create`; scopes: " + ", ".join(SCOPES),
                }
            },
        },
    }


def operations(app: Flask) -> Iterator[tuple[str, str, Operation]]:
    """Path, method and declaration of each."""
    for rule in app.url_map.iter_rules():
        declared = getattr(app.view_functions[rule.endpoint], "operation", None)
        if declared is not None:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in sorted((rule.methods or set()) & {"GET", "POST"}):
                yield path, method.lower(), declared


def _operation(path: str, declared: Operation, named: dict[type[BaseModel], Any]) -> dict[str, Any]:
    summary, _, rest = declared.about.strip().partition("\n")
    made: dict[str, Any] = {
        "operationId": declared.name,
        "summary": summary.rstrip("."),
        "tags": [path.removeprefix("/api/v1/").strip("/").split("/")[0] or "index"],
        "parameters": [*_names(path), *_parameters(declared)],
        "responses": _responses(declared, named),
    }
    if rest.strip():
        made["description"] = " ".join(rest.split())
    if declared.body:
        made["requestBody"] = declared.body
    if declared.scope:
        # On loopback an API may be open: then no key is needed.
        made["security"] = [{"key": []}, {}]
        made["x-scope"] = declared.scope
    return made


def _names(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", path)
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "description": NAMES[name], "schema": schema} for name in names]


def _parameters(declared: Operation) -> list[dict[str, Any]]:
    made = []
    for name, field in declared.query.model_fields.items():
        one: dict[str, Any] = {"name": name, "in": "query", "schema": parameter_schema(declared.query, name)}
        one["description"] = field.description or ""
        if field.is_required():
            one["required"] = True
        if get_origin(field.annotation) is tuple:
            one |= {"style": "form", "explode": True}
        made.append(one)
    return made


def _responses(declared: Operation, named: dict[type[BaseModel], Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for status, model in declared.answers.items():
        schema = named[model] if declared.media == "application/json" else {"type": "string"}
        content: dict[str, Any] = {declared.media: {"schema": schema}}
        if declared.table:
            content |= {media: {} for name, media in MEDIA.items() if name != "json"}
        made[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    if HTTPStatus.OK in declared.answers and declared.media == "application/json":
        made["304"] = {"description": "Not Modified: what If-None-Match names is still so"}
    codes = [*ALWAYS, *(KEYED + ASKING if declared.scope else ()), *(["not_acceptable"] if declared.table else ())]
    by_status: dict[int, list[str]] = {}
    for code in [*codes, *declared.codes]:
        by_status.setdefault(CODES[code][0], []).append(f"`{code}`: {CODES[code][1]}")
    for status, meanings in sorted(by_status.items()):
        problem = {"application/problem+json": {"schema": named[Problem]}}
        if str(status) in made:
            made[str(status)]["content"] |= problem
        else:
            # The server in front of the application refuses a long address in its own way.
            content = {**problem, "text/html": {}} if status == HTTPStatus.REQUEST_URI_TOO_LONG else problem
            made[str(status)] = {"description": "; ".join(meanings), "content": content}
    return made
