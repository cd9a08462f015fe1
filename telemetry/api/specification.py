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
from telemetry.api import meanings
from telemetry.api.answers import indented
from telemetry.api.answers.encodings import MEDIA
from telemetry.api.core.codes import CODES
from telemetry.api.core.parameter_schemas import parameter_schema
from telemetry.api.core.problems import Problem
from telemetry.api.guards.access import SCOPES
from telemetry.api.operations import Operation

REFERENCE = "#/components/schemas/{model}"
# The headers of answers. EVERY answer has those two.
EVERY = ("X-Request-ID", "X-Content-Type-Options")
RATES = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
HEADERS = {
    "X-Request-ID": "the id of the request, as sent or a new one; the log has it too",
    "X-Content-Type-Options": "nosniff",
    "X-RateLimit-Limit": "how many requests may be made in a while; this and the next two are sent only where a limit is set",
    "X-RateLimit-Remaining": "how many of them are left",
    "X-RateLimit-Reset": "when all of them are available again, in seconds since 1970",
    "ETag": "identifies this answer; sent back as If-None-Match, it avoids sending the same again. Streams have none",
    "Location": "the address that tells how far the upload is",
    "Retry-After": "after how many seconds to try again, if that helps",
}
NAMES = {
    "gpu": "UUID of the GPU, or host:index",
    "host": "name of the host",
    "metric": "name of the metric",
    "letter": "number of the dead letter",
    "upload": "id of the upload, from the answer to it",
    "name": "name of the file",
}
# The codes that any operation may answer, and those of operations that need a key and read the database.
ALWAYS = ("bad_request", "bad_parameter", "uri_too_long", "too_many_requests", "internal_error")
KEYED = ("unauthorized", "forbidden")
READING = ("query_timeout", "database_unavailable", "database_exhausted", "out_of_range", "query_too_large")


def build(app: Flask) -> dict[str, Any]:
    """The description, as its JSON document."""
    served = sorted(operations(app), key=lambda one: one[:2])
    models = {model for *_, declared in served for model in declared.answers.values() if "application/json" in declared.media}
    models.add(Problem)
    keys = [(model, "serialization") for model in sorted(models, key=lambda model: model.__name__)]
    references, schemas = models_json_schema(keys, ref_template=REFERENCE)  # type: ignore[arg-type]
    named = {model: references[(model, "serialization")] for model in models}
    paths: dict[str, Any] = {}
    for path, method, declared in served:
        paths.setdefault(path, {})[method] = _operation(path, declared, named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "telemetry",
            "version": telemetry.__version__,
            "summary": "GPU telemetry: the fleet, its readings, and how they came in",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        # In the order in which the application has them, which begins with what is asked most.
        "tags": [{"name": tag} for tag in dict.fromkeys(_tag(path) for path, *_ in operations(app))],
        "paths": paths,
        "components": {
            "schemas": {
                name: {**schema, "properties": meanings.described(name, schema["properties"])}
                if "properties" in schema
                else schema
                for name, schema in schemas["$defs"].items()
            },
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
    """Path, method and declaration of each operation."""
    for rule in app.url_map.iter_rules():
        declared = getattr(app.view_functions[rule.endpoint], "operation", None)
        if declared is not None:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in sorted((rule.methods or set()) & {"GET", "POST"}):
                yield path, method.lower(), declared


def _operation(path: str, declared: Operation, named: dict[type[BaseModel], Any]) -> dict[str, Any]:
    summary, _, rest = declared.about.strip().partition("\n")
    described: dict[str, Any] = {
        "operationId": declared.name,
        "summary": summary.rstrip("."),
        "tags": [_tag(path)],
        "parameters": [*_names(path), *_parameters(declared)],
        "responses": _responses(declared, named),
    }
    if rest.strip():
        described["description"] = " ".join(rest.split())
    if declared.body:
        described["requestBody"] = declared.body
    if declared.scope:
        # On loopback an API may be open: then no key is needed.
        described["security"] = [{"key": []}, {"header": []}, {}]
        described["x-scope"] = declared.scope
    return described


def _tag(path: str) -> str:
    return path.removeprefix("/api/v1").strip("/").split("/")[0] or "index"


def _names(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", path)
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "description": NAMES[name], "schema": schema} for name in names]


def _parameters(declared: Operation) -> list[dict[str, Any]]:
    parameters = []
    # What must be given comes first.
    for name, field in sorted(declared.query.model_fields.items(), key=lambda item: not item[1].is_required()):
        schema = parameter_schema(declared.query, name)
        parameter: dict[str, Any] = {"name": name, "in": "query", "schema": schema, "description": field.description or ""}
        if field.is_required():
            parameter["required"] = True
        if get_origin(field.annotation) is tuple:
            parameter |= {"style": "form", "explode": True}
        parameters.append(parameter)
    return [*parameters, indented.PARAMETER] if MEDIA["json"] in declared.media else parameters


def _responses(declared: Operation, named: dict[type[BaseModel], Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, model in declared.answers.items():
        content: dict[str, Any] = {
            media: {"schema": named[model] if media == "application/json" else {"type": "string"}} for media in declared.media
        }
        if declared.is_list:
            content |= {media: {} for name, media in MEDIA.items() if name != "json"}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    if HTTPStatus.OK in declared.answers and "text/event-stream" not in declared.media:
        responses["304"] = {"description": "Not Modified: the answer that If-None-Match names is still the same"}
    for status, causes in sorted(_problems(declared).items()):
        problem = {"application/problem+json": {"schema": named[Problem]}}
        if str(status) in responses:
            responses[str(status)]["content"] |= problem
        else:
            # The server in front of the application refuses a long address in its own way.
            content = {**problem, "text/html": {}} if status == HTTPStatus.REQUEST_URI_TOO_LONG else problem
            responses[str(status)] = {"description": "; ".join(causes), "content": content}
    for number, response in responses.items():
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _headers(number)}
    return responses


def _problems(declared: Operation) -> dict[int, list[str]]:
    """What the codes of an operation mean, by status."""
    keyed = KEYED + READING if declared.scope else ()
    of_list = ("not_acceptable", "too_many_streams") if declared.is_list else ()
    causes: dict[int, list[str]] = {}
    for code in (*ALWAYS, *keyed, *of_list, *declared.codes):
        status, meaning = CODES[code]
        causes.setdefault(status, []).append(f"`{code}`: {meaning}")
    return causes


def _headers(status: str) -> tuple[str, ...]:
    match status:
        case "200" | "304":
            return (*EVERY, *RATES, "ETag")
        case "202":
            return (*EVERY, *RATES, "Location")
        case "429" | "503":
            return (*EVERY, *RATES, "Retry-After")
    return (*EVERY, *RATES)
