"""Gives every request an id, which its answer and each line of the log about it carry, and one line in the access log."""

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
PROBES = {"/health", "/api/v1/health/live", "/api/v1/health/ready", "/metrics"}
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
    # Answers show to one person what another has sent: no browser may take any of it for a page.
    response.headers["X-Content-Type-Options"] = "nosniff"
    level = logging.DEBUG if is_probe() else logging.INFO
    if log.isEnabledFor(level):
        duration_ms = round(1000 * (monotonic() - g.began_s), 1)
        # Without the parameters: a key that was put there by mistake would stay in the log.
        fields = {
            "method": request.method,
            "path": request.path[: logs.MAX_CHARACTERS],
            "route": route(),
            "status": response.status_code,
            "duration_ms": duration_ms,
            "address": request.remote_addr,
            "key": g.get("key"),
        }
        # A line for people shows the words alone, one for programs the fields too.
        log.log(level, "%s %s %d in %.1f ms", request.method, fields["path"], response.status_code, duration_ms, extra=fields)
    return response


def route() -> str:
    """The rule of the request's path, such as /api/v1/gpus/<gpu>; `none` if there is none. Their number is bounded."""
    return request.url_rule.rule.replace("<path:", "<") if request.url_rule else "none"


def is_probe() -> bool:
    """Whether the request is for health or metrics, as monitoring sends them every few seconds."""
    return request.path.rstrip("/") in PROBES


def _forget(_: BaseException | None) -> None:
    if "about" in g:
        g.pop("about").close()
