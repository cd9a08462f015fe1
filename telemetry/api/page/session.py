"""A person's session: an API key in a cookie that no script reads and no other site's page makes a browser send.

Whether a key is valid, and what it may do, is judged at each request by `telemetry.api.guards.access`, as for programs.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, request

from telemetry.api.core.connections import database, give_back
from telemetry.api.guards.access import COOKIE
from telemetry.store import apikeys

LASTS_S = 7 * 24 * 3600
REFUSED = "This key is unknown, expired or revoked. Make one at the centre: telemetry apikey create"


def begin(key: str, then: str) -> Response | None:
    """Keep a key and go on to the page that was asked for; None if the key is not valid."""
    try:
        if apikeys.verify(database(), key) is None:
            return None
    finally:
        give_back()
    response = Response(status=303, headers={"Location": own_path(then)})
    is_secure = request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(COOKIE, key, max_age=LASTS_S, httponly=True, samesite="Strict", secure=is_secure)
    return response


def end() -> Response:
    """Forget the key."""
    response = Response(status=303, headers={"Location": "/login"})
    response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return response


def own_path(then: str) -> str:
    """The path to go on to, if it is one of this site; else the first page."""
    parts = urlsplit(then.replace("\\", "/"))
    is_own = not parts.scheme and not parts.netloc and then.startswith("/") and not then.startswith("//")
    return then if is_own and then.isprintable() else "/"
