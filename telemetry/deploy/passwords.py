"""Passwords of broker, sentinels and database: from options, the environment, files or a prompt. No process list shows them.

An option that was given a password is moved into the environment, and the program begins again without it: what stands in the
arguments of a process can be read by everybody on its machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

# The options, and the variables that say the same; with _FILE at its end a variable names a file.
VARIABLES = {
    "--redis-password": "TELEMETRY_DEPLOY_REDIS_PASSWORD",
    "--db-password": "TELEMETRY_DEPLOY_DB_PASSWORD",
    "--sentinel-password": "TELEMETRY_DEPLOY_SENTINEL_PASSWORD",
}
PROMPT, FILE = "-", "@"


class PasswordError(ValueError):
    """A password that cannot be had; the text names the option and the mend."""


@dataclass(frozen=True, slots=True)
class Passwords:
    """Those that were given; None means that the cluster keeps the one it has."""

    broker: str | None = field(default=None, repr=False)
    database: str | None = field(default=None, repr=False)
    sentinel: str | None = field(default=None, repr=False)

    def hidden(self, text: str) -> str:
        """A text without them."""
        for secret in (self.broker, self.database, self.sentinel):
            text = text.replace(secret, "***") if secret else text
        return text


class Moved(NamedTuple):
    """Arguments without passwords, and the environment that has them."""

    arguments: list[str]
    environ: dict[str, str]


def moved(arguments: Sequence[str], environ: Mapping[str, str]) -> Moved | None:
    """Take passwords out of arguments. None if there are none: `-` asks for one, `@file` names a file."""
    kept: list[str] = []
    variables: dict[str, str] = {}
    rest = iter(arguments)
    for word in rest:
        option, equals, value = word.partition("=")
        if option not in VARIABLES:
            kept.append(word)
            continue
        value = value if equals else next(rest, PROMPT)
        if value == PROMPT or value.startswith(FILE):
            kept += [option, value]
        else:
            variables[VARIABLES[option]] = value
    if not variables:
        return None
    others = {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in variables}
    return Moved(kept, others | variables)


def resolved(option: str, value: str | None, environ: Mapping[str, str], ask: Callable[[str], str]) -> str | None:
    """The password that an option or its variable leads to."""
    name = VARIABLES[option]
    if value == PROMPT:
        return ask(f"{option.removeprefix('--')}: ")
    if value is not None and value.startswith(FILE):
        return _read(option, value.removeprefix(FILE))
    if value is not None:
        return _sound(option, value)
    if name in environ and f"{name}_FILE" in environ:
        raise PasswordError(f"{name} and {name}_FILE are both set; unset one")
    if f"{name}_FILE" in environ:
        return _read(f"{name}_FILE", environ[f"{name}_FILE"])
    return _sound(name, environ[name]) if name in environ else None


def _read(where: str, path: str) -> str:
    try:
        return _sound(where, Path(path).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise PasswordError(f"{where} names {path!r}, which cannot be read: {error}") from None


def _sound(where: str, password: str) -> str:
    if not password:
        raise PasswordError(f"{where} is empty; give a password or leave it out")
    return password
