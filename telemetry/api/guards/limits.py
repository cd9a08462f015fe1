"""Rate limits: how many requests a key may make, or an address without one. Redis counts them for all processes together.

While the broker is away or frozen each process counts for itself, so that the API goes on answering. A request waits for the
broker for `deadlines.HASTE_S` at most; after a failure the broker is asked again after 1 s, then 2 s, up to 32 s.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from flask_limiter import HeaderNames, Limiter

from telemetry.api.core.connections import Connections
from telemetry.api.core.request_log import is_probe
from telemetry.api.guards import access
from telemetry.progress.keys import Keys

# The header in which the limiter says when the next request may come.
LIMITER_RETRY_AFTER = "X-Retry-After"
# Keys that one address may try at the page's form.
LOGINS = "10/minute"


def install(app: Flask) -> None:
    """Limit every request except those of monitoring, and those of the page's form also where the API has no limit.

    The headers X-RateLimit-… say how many are left.
    """
    connections: Connections = app.extensions["connections"]
    rate = connections.settings.api_rate_limit
    app.after_request(_retry_after)
    pool: Any = connections.hasty_broker.connection_pool
    options = {"connection_pool": pool, "key_prefix": Keys(connections.settings.key_prefix).rates()}
    limiter = Limiter(
        _client,
        app=app,
        application_limits=[rate] if rate else [],
        default_limits=[LOGINS],
        default_limits_exempt_when=lambda: not is_login(),
        headers_enabled=True,
        header_name_mapping={HeaderNames.RETRY_AFTER: LIMITER_RETRY_AFTER},
        # The URL only names the kind of storage: the pool has the address, TLS and passwords.
        storage_uri="redis://",
        storage_options=options,
        in_memory_fallback_enabled=True,
        # Of the requests that wait at the moment of a loss the limiter lets one go on in memory, and would fail the others.
        swallow_errors=True,
    )
    # It would log a traceback for each of those others; the one line that says the storage is away is enough.
    limiter.logger.addFilter(_has_no_traceback)
    limiter.request_filter(is_probe)


def is_login() -> bool:
    """Whether somebody tries a key at the page's form."""
    return request.method == "POST" and request.path.rstrip("/") == "/login"


def _has_no_traceback(record: logging.LogRecord) -> bool:
    return not record.exc_info


def _retry_after(response: Response) -> Response:
    # The limiter says it in every answer. Only a refused client needs to wait.
    after = response.headers.pop(LIMITER_RETRY_AFTER, None)
    if after is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        response.headers["Retry-After"] = after
    return response


def _client() -> str:
    # Only a key that was found valid has a count of its own, or made-up keys would get one each. The first request with a key
    # counts for its address.
    key = access.verified_key()
    return f"key:{key}" if key else f"address:{request.remote_addr}"
