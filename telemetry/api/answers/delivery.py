"""How answers travel: with an ETag unless they are streams, compressed for readers who accept it, with CORS for set origins."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, request
from flask_compress import Compress
from flask_cors import CORS

from telemetry.api.answers import common, indented
from telemetry.api.answers.encodings import MEDIA
from telemetry.api.core.connections import Connections

TEXT = [*(MEDIA[name] for name in ("json", "ndjson", "csv")), "application/problem+json"]
COMPRESSED = [*TEXT, "text/html", "text/css", "text/javascript"]
METHODS = ["GET", "HEAD", "POST", "OPTIONS"]
EXPOSED = ["ETag", "Retry-After", "X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]


def install(app: Flask) -> None:
    """Add these headers and codings to every answer of an application."""
    # Level 1 of zstd and deflate, and 4 of gzip, cost less time than the network they save. The library cannot make gzip in
    # pieces, so streams are deflate.
    app.config.update(
        COMPRESS_MIMETYPES=COMPRESSED,
        COMPRESS_ALGORITHM=["zstd", "gzip"],
        COMPRESS_ALGORITHM_STREAMING=["zstd", "deflate"],
        COMPRESS_ZSTD_LEVEL=1,
        COMPRESS_DEFLATE_LEVEL=1,
        COMPRESS_LEVEL=4,
    )
    common.install(app)
    Compress(app)
    connections: Connections = app.extensions["connections"]
    if connections.settings.api_cors_origins:
        origins = list(connections.settings.api_cors_origins)
        CORS(app, origins=origins, methods=METHODS, expose_headers=EXPOSED, max_age=600)
        app.after_request(_vary_by_origin)
    # What is registered last runs first: the tag is of the answer before it is compressed, and after it was indented.
    app.after_request(_tag)
    app.after_request(indented.indent)
    app.after_request(_without_type)


def _vary_by_origin(response: Response) -> Response:
    response.vary.add("Origin")
    return response


def _without_type(response: Response) -> Response:
    """An answer to OPTIONS has no content, so it is not HTML."""
    if request.method == "OPTIONS":
        response.headers.pop("Content-Type", None)
    return response


def _tag(response: Response) -> Response:
    if request.method not in {"GET", "HEAD"}:
        return response
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.vary.update(["Accept", "Authorization", "Cookie", "X-API-Key"])
    if response.status_code == HTTPStatus.OK and not response.is_streamed:
        # Weak, because the same answer is another byte sequence for each way of compressing it.
        response.add_etag(weak=True)
        response.make_conditional(request)
    return response
