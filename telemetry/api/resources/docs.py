"""`/openapi.json` and `/docs`: the specification, and a page to read it and try it out, which works without the internet.

The page is Swagger UI. Its files come with the package `offapi`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from flask import Blueprint, Response, current_app, url_for
from pydantic import BaseModel, ConfigDict

from telemetry.api import specification
from telemetry.api.answers import encodings
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Query
from telemetry.api.operations import operation

ASSETS = {"swagger_bundle.js": "text/javascript", "swagger_style.css": "text/css"}
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>telemetry API</title>
<link rel="icon" href="/page/icon.svg">
<link rel="stylesheet" href="{style}">
</head>
<body>
<p><a href="/">Back to the page of the fleet</a></p>
<div id="page"></div>
<script src="{bundle}"></script>
<script src="{start}"></script>
</body>
</html>
"""
START = 'SwaggerUIBundle({{url: "{url}", dom_id: "#page", deepLinking: true, validatorUrl: null}});\n'

blueprint = Blueprint("docs", __name__)


class Specification(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


@operation(blueprint, "/openapi.json", Specification, Query, scope=None)
def show_specification(_: Query) -> Response:
    """The specification of this API, in OpenAPI 3.1."""
    body: bytes | None = current_app.extensions.get("specification")
    if body is None:
        body = current_app.extensions["specification"] = encodings.json(specification.build(current_app))
    return Response(body, mimetype="application/json")


@operation(blueprint, "/docs", BaseModel, Query, scope=None, media=("text/html",))
def show_docs(_: Query) -> Response:
    """A page to read the specification and try it out."""
    assets = {"style": "swagger_style.css", "bundle": "swagger_bundle.js", "start": "start.js"}
    page = PAGE.format(**{key: url_for("docs.show_asset", name=name) for key, name in assets.items()})
    return Response(page, mimetype="text/html", headers={"Content-Security-Policy": POLICY})


@operation(blueprint, "/docs/<name>", BaseModel, Query, scope=None, media=tuple(ASSETS.values()), codes=("not_found",))
def show_asset(_: Query, name: str) -> Response:
    """A file of that page."""
    if name == "start.js":
        return Response(START.format(url=url_for("docs.show_specification")), mimetype="text/javascript")
    if name not in ASSETS:
        raise ProblemError("not_found", "the page has no such file")
    return Response(_asset(name), mimetype=ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})


@cache
def _asset(name: str) -> bytes:
    return files("offapi").joinpath(name).read_bytes()
