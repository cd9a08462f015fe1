"""A person's session: an API key in a cookie that no script reads and no other site's page makes a browser send.

Whether a key is valid, and what it may do, is judged at each request by `telemetry.api.guards.access`, as for programs. Who
comes from a provider of logins gets a key of their own, which lasts as long as the session and ends with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from flask import Response, render_template, request
from sqlalchemy.exc import SQLAlchemyError

from telemetry.api.core.connections import connections, give_back, primary
from telemetry.api.guards import groups
from telemetry.api.guards.access import COOKIE, is_own_page
from telemetry.api.page.provider import Person, is_secure
from telemetry.store import apikeys

LASTS_S = 7 * 24 * 3600
AWAY = "The database does not answer, so no key can be looked up. Try again in a moment."
ELSEWHERE = "This form was sent from another address. Log in here."
UNREAD = "This key may not read. The page needs one with the scope read."
REFUSED = "This key is unknown, expired or revoked. Make one at the centre: telemetry apikey create"
NO_GROUPS = (
    "The provider names no groups of yours: it sends no claim {}. Let an operator set TELEMETRY_OIDC_CLAIM, or "
    "TELEMETRY_OIDC_SCOPES, or let the provider send it."
)
NO_RIGHTS = (
    "None of your groups may open this page. You are in: {}. Ask an operator to give one of them rights in the file of "
    "TELEMETRY_OIDC_GROUPS."
)
MAX_SHOWN = 300


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
    if not groups.READING & set(known.scopes):
        return UNREAD
    return _kept(Response(status=303, headers={"Location": _first(then, known.namespaces)}), key, LASTS_S)


def begin_for(person: Person, then: str) -> Response | str:
    """The same for a person whom the provider of logins names: a key that may do what their groups may."""
    settings = connections().settings
    if person.groups is None:
        return NO_GROUPS.format(settings.oidc_claim)
    rights = groups.rights(person.groups, settings.oidc_groups)
    if rights is None:
        return NO_RIGHTS.format(", ".join(person.groups)[:MAX_SHOWN] or "none")
    scopes, namespaces = rights
    try:
        with connections().engine.begin() as connection:
            key = apikeys.log_in(connection, person.name, scopes, namespaces, settings.oidc_session_s)
    except SQLAlchemyError:
        return AWAY
    # A redirection would go on with what the provider's page began, and browsers send no such cookie then. A document of ours
    # begins anew.
    document = render_template("arrived.html", then=_first(then, namespaces))
    return _kept(Response(document, mimetype="text/html"), key, settings.oidc_session_s)


def end() -> Response:
    """Forget the key, if a page of ours asks for that. One that was made for a login is of no use any more."""
    response = Response(status=303, headers={"Location": "/login"})
    if is_own_page():
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
        if key := request.cookies.get(COOKIE):
            # Without a database it ends by itself, later.
            with suppress(SQLAlchemyError), connections().engine.begin() as connection:
                apikeys.log_out(connection, key)
    return response


def _first(then: str, namespaces: Sequence[str]) -> str:
    """The path to go on to. The first page shows all of the fleet, which who is bound to namespaces does not see."""
    path = own_path(then)
    return "/owners" if namespaces and path == "/" else path


def _kept(response: Response, key: str, lasts_s: int) -> Response:
    response.set_cookie(COOKIE, key, max_age=lasts_s, httponly=True, samesite="Strict", secure=is_secure())
    response.headers["Cache-Control"] = "no-store"
    return response


def own_path(then: str) -> str:
    """The path to go on to, if it is one of this site; else the first page."""
    try:
        parts = urlsplit(then.replace("\\", "/"))
    except ValueError:
        return "/"
    is_own = not parts.scheme and not parts.netloc and then.startswith("/") and not then.startswith("//")
    return then if is_own and then.isprintable() else "/"
