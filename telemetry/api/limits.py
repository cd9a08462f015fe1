"""Rate limits: how many requests a key, or an address without one, may make. Counted in Redis, for all processes together.

While the broker is away each process counts for itself: a limit is no reason to stop answering.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from flask_limiter import Limiter

from telemetry.api.connections import Connections
from telemetry.keys import Keys


def install(app: Flask) -> None:
    """Limit every request but those of probes and of Prometheus. The headers X-RateLimit-… tell where one stands."""
    where: Connections = app.extensions["connections"]
    rate = where.settings.api_rate_limit
    if rate is None:
        return
    app.after_request(_later)
    pool: Any = where.broker.connection_pool
    options = {"connection_pool": pool, "key_prefix": Keys(where.settings.key_prefix).rates()}
    limiter = Limiter(
        _who,
        app=app,
        application_limits=[rate],
        headers_enabled=True,
        # The URL only says what it is: the pool knows the way, TLS and passwords.
        storage_uri="redis://",
        storage_options=options,
        in_memory_fallback=[rate],
        in_memory_fallback_enabled=True,
    )
    limiter.request_filter(lambda: request.path.startswith(("/health", "/api/v1/health")) or request.path == "/metrics")


def _later(response: Response) -> Response:
    # The limiter tells everybody when to come again; who was not refused need not wait.
    if response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
        response.headers.pop("Retry-After", None)
    return response


def _who() -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    given = key if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
    # The secret part of a key stays out of Redis.
    public = given.split("_")[1] if given.startswith("tk_") else ""
    return f"key:{public[:20]}" if public.isalnum() else f"address:{request.remote_addr}"
