"""Reads the environment: finds the variable of each declared field, parses it, and fetches secrets from files.

What is declared is `fields`'s. Everything here works on any dataclass whose fields are declared as those are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Declared = TypeVar("Declared", bound="DataclassInstance")

PREFIX = "TELEMETRY_"


class SettingsError(ValueError):
    """A setting that cannot be used; the text names the variable and the mend."""


def load(kind: type[Declared], environ: Mapping[str, str]) -> Declared:
    """The settings that an environment names. Raises SettingsError for a value that cannot be used."""
    values: dict[str, Any] = {}
    for item in fields(kind):
        raw = _raw(environ, item)
        if raw is not None:
            try:
                values[item.name] = item.metadata["parse"](raw)
            except ValueError as error:
                raise SettingsError(f"{variable(item)} {error}") from None
    return _with_credentials(kind(**values))


def variable(item: Field[Any]) -> str:
    """The name of a field's environment variable."""
    return PREFIX + item.name.upper()


def _raw(environ: Mapping[str, str], item: Field[Any]) -> str | None:
    name = variable(item)
    if not item.metadata["secret"] or f"{name}_FILE" not in environ:
        return environ.get(name)
    if name in environ:
        raise SettingsError(f"{name} and {name}_FILE are both set; unset one")
    path = environ[f"{name}_FILE"]
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE names {path!r}, which cannot be read: {error}") from None


def _with_credentials(settings: Declared) -> Declared:
    """Put the users and passwords that were given apart into the URLs, encoded as a URL needs it."""
    for name in ("broker", "database"):
        parts = urlsplit(getattr(settings, f"{name}_url"))
        user, _, host = parts.netloc.rpartition("@")
        for part, stated in (("username", parts.username), ("password", parts.password)):
            given: str | None = getattr(settings, f"{name}_{part}", None)
            if given is None:
                continue
            if stated:
                raise SettingsError(
                    f"{PREFIX}{name.upper()}_URL holds a {part}, and {PREFIX}{name.upper()}_{part.upper()} is set; unset one"
                )
            encoded = quote(given, safe="")
            user = f"{encoded}{user}" if part == "username" else f"{user.removesuffix(':')}:{encoded}"
        if user:
            # geturl() would leave out the slashes of an empty host.
            url = f"{parts.scheme}://{user}@{host}{parts.path}" + (f"?{parts.query}" if parts.query else "")
            settings = replace(settings, **{f"{name}_url": url})
    # By now the URL of the database holds its password, if it has one.
    read_url, password = getattr(settings, "database_read_url", None), urlsplit(getattr(settings, "database_url", "")).password
    if read_url and password and (parts := urlsplit(read_url)).password is None:
        user, _, host = parts.netloc.rpartition("@")
        netloc = f"{user.removesuffix(':')}:{password}@{host}"
        read_url = f"{parts.scheme}://{netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        settings = replace(settings, database_read_url=read_url)
    return settings
