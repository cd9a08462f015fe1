"""Who may ask: API keys and their scopes. A key comes as `Authorization: Bearer …` or as `X-API-Key`.

Owns the judgement on one request. Keys are kept, hashed, by `telemetry.store.apikeys`; people make them with
`telemetry apikey`. With TELEMETRY_API_ACCESS=open whoever is on this machine may do anything without one.
"""

from __future__ import annotations

from hashlib import sha256
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from flask import current_app, g, request

from telemetry.api.core.connections import connections, database
from telemetry.api.core.problems import ProblemError
from telemetry.store import apikeys

Scope = Literal["read", "ingest", "admin"]
SCOPES = apikeys.SCOPES
# What proxies tell of themselves, beside all that begins with X-Forwarded-.
PROXIED = {"forwarded", "via", "x-real-ip", "x-client-ip", "x-original-forwarded-for", "true-client-ip", "cf-connecting-ip"}
LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}


def require(scope: Scope | None) -> None:
    """Let the request pass if it may do what takes this scope (None: anybody may). Raises ProblemError."""
    if scope is None:
        return
    given = _given()
    if given is None:
        if connections().settings.api_access == "open" and is_local():
            return
        raise ProblemError("unauthorized", "send an API key as Authorization: Bearer KEY; telemetry apikey create makes one")
    found = apikeys.verify(database(), given)
    if found is None:
        _good().pop(_digest(given), None)
        raise ProblemError("unauthorized", "this API key is unknown, expired or revoked; telemetry apikey list tells")
    g.key = found.name
    _good()[_digest(given)] = found.public
    if scope not in found.scopes and "admin" not in found.scopes:
        raise ProblemError("forbidden", f"this takes a key with the scope {scope}; this one has {', '.join(found.scopes)}")


def known() -> str | None:
    """The public part of the request's key, if this process found that key good before. It asks nobody."""
    given = _given()
    return _good().get(_digest(given)) if given else None


def actor() -> str:
    """Who asks, for the audit log."""
    return f"key {g.key}" if "key" in g else f"anyone at {request.remote_addr}"


def is_local() -> bool:
    """Whether the request comes from this machine, from no proxy that says so and from no page of another site.

    A web page from anywhere can have a browser on this machine send requests here: the name it asks for (Host) tells, and
    where the page came from (Origin). A proxy on this machine that hides what it is cannot be told from a person.
    """
    if any(name.lower() in PROXIED or name.lower().startswith("x-forwarded-") for name in dict(request.headers)):
        return False
    named = urlsplit(f"//{request.host}").hostname
    origin = request.headers.get("Origin")
    if named not in LOCAL_NAMES or (origin and origin not in _own_origins()):
        return False
    # Nothing is told of who asks over a Unix socket: only those on this machine can.
    address = request.remote_addr
    return not address or ip_address(address.partition("%")[0]).is_loopback


def _own_origins() -> set[str]:
    allowed = connections().settings.api_cors_origins
    return {f"{request.scheme}://{request.host}", *allowed}


def _good() -> dict[bytes, str]:
    """Keys that this process found good, by digest: as many as there are keys."""
    found: dict[bytes, str] = current_app.extensions.setdefault("good_keys", {})
    return found


def _digest(key: str) -> bytes:
    return sha256(key.encode(errors="replace")).digest()


def _given() -> str | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return request.headers.get("X-API-Key")
