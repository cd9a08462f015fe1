"""Who may ask: API keys and their scopes. A key comes as `Authorization: Bearer …`, as `X-API-Key`, or in the page's cookie.

A key that is bound to namespaces may ask only what keeps to them: an operation is closed to it unless it says that it does.

This module judges one request. Keys are stored, hashed, by `telemetry.store.apikeys`; people make them with `telemetry apikey`.
With TELEMETRY_API_ACCESS=open anyone on this machine may do anything without a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from flask import current_app, g, request

from telemetry.api.core.connections import connections, primary
from telemetry.api.core.problems import ProblemError
from telemetry.store import apikeys

Scope = Literal["read", "ingest", "admin"]
SCOPES = apikeys.SCOPES
# Headers by which proxies reveal themselves, beside all that begin with X-Forwarded-.
PROXIED = {"forwarded", "via", "x-real-ip", "x-client-ip", "x-original-forwarded-for", "true-client-ip", "cf-connecting-ip"}
# The cookie in which the page keeps a person's key.
COOKIE = "telemetry_key"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}


def require(scope: Scope | None, *, by_namespace: bool = False) -> None:
    """Let the request pass if its key has a scope (None: anybody may pass). Raises ProblemError.

    `by_namespace` says that the operation shows a key that is bound to `namespaces()` nothing else.
    """
    if scope is None:
        return
    is_open = connections().settings.api_access == "open" and is_local()
    text = _sent_key(with_cookie=not is_open)
    if text is None:
        if is_open:
            return
        raise ProblemError("unauthorized", "send an API key as Authorization: Bearer KEY; telemetry apikey create makes one")
    key = apikeys.verify(primary(), text)
    if key is None:
        _verified().pop(_digest(text), None)
        raise ProblemError("unauthorized", "this API key is unknown, expired or revoked; telemetry apikey list shows all keys")
    g.key = key.name
    _verified()[_digest(text)] = key.public
    if scope not in key.scopes and "admin" not in key.scopes:
        scopes = ", ".join(key.scopes)
        raise ProblemError("forbidden", f"this operation needs a key with the scope {scope}; this key has {scopes}")
    if key.namespaces and not by_namespace:
        raise ProblemError("forbidden", f"{_bounds(key.namespaces)}, and this operation cannot be narrowed to them")
    g.namespaces = tuple(key.namespaces)


def namespaces() -> tuple[str, ...]:
    """The namespaces that the request's key is bound to; none if it sees all."""
    bound: tuple[str, ...] = g.get("namespaces", ())
    return bound


def within(asked: tuple[str, ...]) -> tuple[str, ...]:
    """The namespaces that are asked for, or all that the key is bound to. Raises ProblemError for one that it does not see."""
    bound = namespaces()
    if bound and not set(asked) <= set(bound):
        raise ProblemError("forbidden", f"{_bounds(bound)}; ask for those", "namespace")
    return asked or bound


def _bounds(bound: Sequence[str]) -> str:
    return f"this key is bound to the namespaces {', '.join(bound)}"


def verified_key() -> str | None:
    """The public part of the request's key, if this process found the key valid before. It does not ask the database."""
    text = _sent_key()
    return _verified().get(_digest(text)) if text else None


def actor() -> str:
    """Who asks, for the audit log."""
    return f"key {g.key}" if "key" in g else f"anyone at {request.remote_addr}"


def is_local() -> bool:
    """Whether the request comes from this machine, through no proxy that reveals itself and from no page of another site.

    A web page from anywhere can make a browser on this machine send requests here. The name it asks for (Host) reveals that,
    and so does where the page came from (Origin). A proxy on this machine that hides itself looks like a person.
    """
    if any(name.lower() in PROXIED or name.lower().startswith("x-forwarded-") for name in dict(request.headers)):
        return False
    host = urlsplit(f"//{request.host}").hostname
    origin = request.headers.get("Origin")
    if host not in LOCAL_NAMES or (origin and origin not in _own_origins()):
        return False
    # A request over a Unix socket has no address: only this machine can send it.
    address = request.remote_addr
    return not address or ip_address(address.partition("%")[0]).is_loopback


def _own_origins() -> set[str]:
    allowed = connections().settings.api_cors_origins
    return {f"{request.scheme}://{request.host}", *allowed}


def _verified() -> dict[bytes, str]:
    """The public parts of keys that this process found valid, by the digests of the keys. There are no more than keys."""
    keys: dict[bytes, str] = current_app.extensions.setdefault("verified_keys", {})
    return keys


def _digest(key: str) -> bytes:
    return sha256(key.encode(errors="replace")).digest()


def _sent_key(*, with_cookie: bool = True) -> str | None:
    """The key that was sent. The cookie of another system on this machine's name says nothing where no key is asked for."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return request.headers.get("X-API-Key") or (_key_of_page() if with_cookie else None)


def _key_of_page() -> str | None:
    """The key in the cookie. What changes something must come from a page of this very address, as a browser says in Origin."""
    return request.cookies.get(COOKIE) if request.method in SAFE_METHODS or is_own_page() else None


def is_own_page() -> bool:
    """Whether a browser says that the request comes from a page of this very address."""
    return urlsplit(request.headers.get("Origin", "")).netloc == request.host
