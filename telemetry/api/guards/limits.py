"""Rate limits: how many requests a key, or an address without one, may make. Counted in Redis, for all processes together.

While the broker is away each process counts for itself: a limit is no reason to stop answering.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from flask_limiter import HeaderNames, Limiter

from telemetry.api.core.connections import Connections
from telemetry.api.core.request_log import is_probe
from telemetry.api.guards import access
from telemetry.progress.keys import Keys

# Where the limiter says when the next request may come.
TOLD = "X-Retry-After"


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
        header_name_mapping={HeaderNames.RETRY_AFTER: TOLD},
        # The URL only says what it is: the pool knows the way, TLS and passwords.
        storage_uri="redis://",
        storage_options=options,
        in_memory_fallback=[rate],
        in_memory_fallback_enabled=True,
    )
    limiter.request_filter(is_probe)


def _later(response: Response) -> Response:
    # The limiter tells everybody when to come again; who was not refused by it need not wait for it.
    after = response.headers.pop(TOLD, None)
    if after is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        response.headers["Retry-After"] = after
    return response


def _who() -> str:
    # Only a key that was found good: who makes keys up would get a count for each. The first request of a key is its
    # address' own.
    known = access.known()
    return f"key:{known}" if known else f"address:{request.remote_addr}"
