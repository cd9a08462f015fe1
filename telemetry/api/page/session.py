"""A person's session: an API key in a cookie that no script reads and no other site's page makes a browser send.

Whether a key is valid, and what it may do, is judged at each request by `telemetry.api.guards.access`, as for programs.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, request
from sqlalchemy.exc import SQLAlchemyError

from telemetry.api.core.connections import give_back, primary
from telemetry.api.guards.access import COOKIE, is_own_page
from telemetry.store import apikeys

LASTS_S = 7 * 24 * 3600
AWAY = "The database does not answer, so no key can be looked up. Try again in a moment."
ELSEWHERE = "This form was sent from another address. Log in here."
UNREAD = "This key may not read. The page needs one with the scope read."
BOUND = "This key is bound to namespaces. The page shows all of the fleet, and needs a key that may see it."
REFUSED = "This key is unknown, expired or revoked. Make one at the centre: telemetry apikey create"


def begin(key: str, then: str) -> Response | str:
    """Keep a key and go on to the page that was asked for; or the reason why the key does not do."""
    if not is_own_page():
        return ELSEWHERE
    try:
        known = apikeys.verify(primary(), key)
    except SQLAlchemyError:
        return AWAY
    finally:
        give_back()
    if known is None:
        return REFUSED
    if not {"read", "admin"} & set(known.scopes):
        return UNREAD
    if known.namespaces:
        return BOUND
    response = Response(status=303, headers={"Location": own_path(then)})
    is_secure = request.is_secure or request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip() == "https"
    response.set_cookie(COOKIE, key, max_age=LASTS_S, httponly=True, samesite="Strict", secure=is_secure)
    return response


def end() -> Response:
    """Forget the key, if a page of ours asks for that."""
    response = Response(status=303, headers={"Location": "/login"})
    if is_own_page():
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return response


def own_path(then: str) -> str:
    """The path to go on to, if it is one of this site; else the first page."""
    try:
        parts = urlsplit(then.replace("\\", "/"))
    except ValueError:
        return "/"
    is_own = not parts.scheme and not parts.netloc and then.startswith("/") and not then.startswith("//")
    return then if is_own and then.isprintable() else "/"
