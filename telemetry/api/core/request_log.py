"""What every request gets: an id, which the answer carries and each line of the log about it, and one line in that log."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from secrets import token_hex
from time import monotonic

from flask import Flask, Response, g, request

from telemetry.monitoring import logs

log = logging.getLogger("telemetry.access")

HEADER = "X-Request-ID"
SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def install(app: Flask) -> None:
    """Give each request its id."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if SANE.fullmatch(given) else token_hex(8)
    g.began_s = monotonic()
    g.about = ExitStack()
    g.about.enter_context(logs.about(request=g.request_id))


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    # What was sent by one person is shown to others: nothing of it may be taken for a page.
    response.headers["X-Content-Type-Options"] = "nosniff"
    level = logging.DEBUG if is_probe() else logging.INFO
    if log.isEnabledFor(level):
        duration_ms = round(1000 * (monotonic() - g.began_s), 1)
        # Not the parameters: a key that was put there by mistake would stay in the log.
        with logs.about(
            method=request.method,
            path=request.path,
            route=route(),
            status=response.status_code,
            duration_ms=duration_ms,
            address=request.remote_addr,
            key=g.get("key"),
        ):
            log.log(level, "%s %s %d", request.method, request.path, response.status_code)
    return response


def route() -> str:
    """The rule that a request follows, such as /api/v1/gpus/<gpu>: anybody can ask for any path."""
    return request.url_rule.rule.replace("<path:", "<") if request.url_rule else "none"


def is_probe() -> bool:
    """Whether the request is one of those that come every few seconds from those who watch."""
    return request.path.startswith(("/health", "/api/v1/health")) or request.path == "/metrics"


def _forget(_: BaseException | None) -> None:
    if "about" in g:
        g.pop("about").close()
