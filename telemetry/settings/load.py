"""Reads the environment: finds the variable of each declared field, parses it, and fetches secrets from files.

What is declared is `fields`'s. Everything here works on any dataclass whose fields are declared as those are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, quote

from telemetry.settings import urls

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
    changes: dict[str, Any] = {}
    for name in ("broker", "database"):
        given = {part: getattr(settings, f"{name}_{part}", None) for part in ("username", "password")}
        changes[f"{name}_url"] = _with_user(getattr(settings, f"{name}_url"), f"{name}_url", given)
    if several := getattr(settings, "broker_urls", ()):
        given = {part: getattr(settings, f"broker_{part}", None) for part in ("username", "password")}
        changes["broker_urls"] = tuple((name, _with_user(url, "broker_urls", given)) for name, url in several)
    # By now the URL of the database holds its password, if it has one.
    read_url, password = getattr(settings, "database_read_url", None), urls.split(changes["database_url"]).password
    if read_url and password and (parts := urls.split(read_url)).password is None:
        user, _, host = parts.netloc.rpartition("@")
        changes["database_read_url"] = _joined(parts, f"{user.removesuffix(':')}:{password}", host)
    return replace(settings, **changes)


def _with_user(url: str, field: str, given: Mapping[str, str | None]) -> str:
    """A URL with the user and the password that are given, each of which it may not hold already."""
    parts = urls.split(url)
    user, _, host = parts.netloc.rpartition("@")
    for part, stated in (("username", parts.username), ("password", parts.password)):
        word = given[part]
        if word is None:
            continue
        if stated:
            variable = f"{PREFIX}{field.partition('_')[0].upper()}_{part.upper()}"
            raise SettingsError(f"{PREFIX}{field.upper()} holds a {part}, and {variable} is set; unset one")
        encoded = quote(word, safe="")
        user = f"{encoded}{user}" if part == "username" else f"{user.removesuffix(':')}:{encoded}"
    return _joined(parts, user, host) if user else url


def _joined(parts: SplitResult, user: str, host: str) -> str:
    # geturl() would leave out the slashes of an empty host.
    return f"{parts.scheme}://{user}@{host}{parts.path}" + (f"?{parts.query}" if parts.query else "")
