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
from telemetry.api.answers.encodings import MEDIA
from telemetry.api.core.parameters import parameter_schema
from telemetry.api.core.problems import CODES, Problem
from telemetry.api.guards.access import SCOPES
from telemetry.api.operations import Operation

REFERENCE = "#/components/schemas/{model}"
# What an answer may carry beside its body. Those in EVERY it always does.
EVERY = ("X-Request-ID", "X-Content-Type-Options")
RATES = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
HEADERS = {
    "X-Request-ID": "the id of the request, its own or a new one, which the log has too",
    "X-Content-Type-Options": "nosniff",
    "X-RateLimit-Limit": "how many requests may be made in a while; only where a limit is set, as are the other two",
    "X-RateLimit-Remaining": "how many of them are left",
    "X-RateLimit-Reset": "when they are all there again, in seconds since 1970",
    "ETag": "names this answer; sent back as If-None-Match it spares the same again. Streams have none",
    "Location": "where to see how far the upload is",
    "Retry-After": "after how many seconds to try again, where that helps",
}
NAMES = {
    "gpu": "UUID of the GPU, or host:index",
    "host": "name of the host",
    "metric": "name of the metric",
    "upload": "id of the upload, from the answer to it",
    "name": "name of the file",
}
# What any operation may be answered, and what those that are asked for a key or read the database may be beside.
ALWAYS = ("bad_request", "bad_parameter", "uri_too_long", "too_many_requests", "internal_error")
KEYED = ("unauthorized", "forbidden")
ASKING = ("query_timeout", "database_unavailable")


def build(app: Flask) -> dict[str, Any]:
    """The description, as its JSON document."""
    found = sorted(operations(app), key=lambda each: (each[0], each[1]))
    models = {model for _, _, each in found for model in each.answers.values() if "application/json" in each.media} | {Problem}
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
            "headers": {name: {"description": about, "schema": {"type": "string"}} for name, about in HEADERS.items()},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, made with `telemetry apikey create`; scopes: " + ", ".join(SCOPES),
                },
                "header": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "The same key, in a header of its own",
                },
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
        made["security"] = [{"key": []}, {"header": []}, {}]
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
        content: dict[str, Any] = {
            media: {"schema": named[model] if media == "application/json" else {"type": "string"}} for media in declared.media
        }
        if declared.table:
            content |= {media: {} for name, media in MEDIA.items() if name != "json"}
        made[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    if HTTPStatus.OK in declared.answers and "text/event-stream" not in declared.media:
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
    for number, response in made.items():
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _headers(number)}
    return made


def _headers(status: str) -> tuple[str, ...]:
    match status:
        case "200" | "304":
            return (*EVERY, *RATES, "ETag")
        case "202":
            return (*EVERY, *RATES, "Location")
        case "429" | "503":
            return (*EVERY, *RATES, "Retry-After")
    return (*EVERY, *RATES)
