"""Settings of logins by a provider of OpenID Connect: their addresses, and what must be set together.

What groups may do stands in a file, which `groups_file` reads.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult

from telemetry.settings import parsers, urls
from telemetry.settings.load import PREFIX, SettingsError

TOGETHER = ("oidc_issuer", "oidc_client_id", "oidc_client_secret", "oidc_groups")


def issuer(raw: str) -> str | None:
    """The URL of an issuer, as its provider writes it. None for an empty text."""
    return _address(raw, "https://login.example.org/realms/main")[0] if raw.strip() else None


def page(raw: str) -> str | None:
    """The address of the page, without a path. None for an empty text."""
    if not raw.strip():
        return None
    value, parts = _address(raw, "https://telemetry.example.org")
    if parts.path.strip("/"):
        raise ValueError(f"{value!r} has a path; give it without one, as the page stands at / of its host")
    return value.rstrip("/")


def scopes(raw: str) -> tuple[str, ...]:
    """Scopes, of which `openid` is one."""
    words = parsers.words(raw)
    if "openid" not in words:
        raise ValueError("must have openid among its scopes: without it the provider does not say who somebody is")
    return words


def check(settings: Any) -> None:
    """Raise SettingsError where a part is missing of what must be set together."""
    given = [name for name in TOGETHER if getattr(settings, name)]
    if given and (missing := [name for name in TOGETHER if name not in given]):
        names = [f"{PREFIX}{name.upper()}" for name in (given[0], missing[0])]
        raise SettingsError(f"{names[0]} is set, and {names[1]} is not: logins need {_listed()}")


def _listed() -> str:
    *names, last = (f"{PREFIX}{name.upper()}" for name in TOGETHER)
    return f"{', '.join(names)} and {last}"


def _address(raw: str, example: str) -> tuple[str, SplitResult]:
    """A URL by which nobody between can read or change what is sent."""
    value = parsers.text(raw)
    try:
        parts = urls.split(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"is no URL; it reads like {example}") from None
    if parts.scheme not in {"https", "http"} or not host or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"must read like {example}, without user, query and fragment")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError(f"must begin with https://, as {host} is another machine")
    return value, parts


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
