"""What every request gets: an id, which the answer carries and the log names."""

from __future__ import annotations

import re
from secrets import token_hex

from flask import Flask, Response, g, request

HEADER = "X-Request-ID"
SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def install(app: Flask) -> None:
    """Give each request its id."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if SANE.fullmatch(given) else token_hex(8)


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    return response
