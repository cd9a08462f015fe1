"""Turns the text of an environment variable into a value, one function for each kind of setting.

Each takes the raw text and returns the value, or raises ValueError. The error's text completes a sentence that begins with the
name of the variable, and never holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote

from telemetry.readings.names import Edge
from telemetry.settings import sentinel_url, urls

FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
BROKER_SCHEMES = ("redis", "rediss", "redis+socket", *sentinel_url.SCHEMES)
DATABASE_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
ESCAPES = "in a user or password write @ : / # ? % as %40 %3A %2F %23 %3F %25"
# The holder of a key, its number, and 32 bytes in hex.
SIGNING_KEY = re.compile(r"[^\s:]+:[0-9]{1,9}:[0-9a-f]{64}")
MIN_SECRET_CHARACTERS = 32
RATE_UNITS = ("second", "minute", "hour", "day")

Parser = Callable[[str], Any]


def text(raw: str) -> str:
    """A text that is not empty."""
    if not raw.strip():
        raise ValueError("is empty; give a value or unset it")
    return raw.strip()


def optional_text(raw: str) -> str | None:
    """A text, None for an empty one."""
    return raw.strip() or None


def path(raw: str) -> Path:
    """A path; `~` is the home directory."""
    try:
        return Path(text(raw)).expanduser()
    except RuntimeError:
        raise ValueError(f"begins with the home directory of a user that this machine does not know: {text(raw)}") from None


def optional_path(raw: str) -> Path | None:
    """A path, None for an empty text."""
    return path(raw) if raw.strip() else None


def archive(raw: str) -> str | None:
    """A directory, or the URL of a path in an object store, without the keys to it. None for an empty text."""
    value = raw.strip()
    user, at, _ = value.partition("://")[2].partition("/")[0].rpartition("@")
    if at and ":" in user:
        raise ValueError("has a key in it; leave it out, and set what the object store reads, such as AWS_ACCESS_KEY_ID")
    return value or None


def name(raw: str) -> str:
    """A name that may be part of a key or a label."""
    value = text(raw)
    if not all(c.isalnum() or c in "-_." for c in value):
        raise ValueError(f"{value!r} may hold only letters, digits, '-', '_' and '.'")
    return value


def edge(raw: str) -> str:
    """The name of an edge."""
    return Edge.parse(text(raw)).name


def signing_key(raw: str) -> str:
    """The key of an edge."""
    if not SIGNING_KEY.fullmatch(raw.strip()):
        raise ValueError("must be a key as `telemetry edge add` prints it")
    return raw.strip()


def trust_secret(raw: str) -> str:
    """The secret of the centre; one that could be guessed is none."""
    if len(raw.strip()) < MIN_SECRET_CHARACTERS:
        raise ValueError(f"must have at least {MIN_SECRET_CHARACTERS} characters, such as those of `openssl rand -hex 32`")
    return raw.strip()


def flag(raw: str) -> bool:
    """True or false."""
    try:
        return FLAGS[raw.strip().lower()]
    except KeyError:
        raise ValueError(f"{raw!r} must be true or false") from None


def number(kind: type[int | float], low: float, high: float) -> Parser:
    """A number from `low` to `high`."""

    def parse(raw: str) -> Any:
        try:
            value = kind(raw)
        except ValueError:
            raise ValueError(f"{raw!r} must be {'a whole number' if kind is int else 'a number'}") from None
        if not low <= value <= high:
            raise ValueError(f"{raw!r} must lie between {low:g} and {high:g}")
        return value

    return parse


def whole_of(*choices: int) -> Parser:
    """One of some whole numbers."""
    one = choice(*map(str, choices))
    return lambda raw: int(one(raw))


def words(raw: str) -> tuple[str, ...]:
    """Texts separated by commas or line breaks."""
    return tuple(word.strip() for word in raw.replace("\n", ",").split(",") if word.strip())


def addresses(raw: str) -> tuple[str, ...]:
    """Addresses separated by white space: they may have commas."""
    return tuple(raw.split())


def choice(*choices: str) -> Parser:
    """One of some words."""

    def parse(raw: str) -> str:
        if raw.strip() not in choices:
            raise ValueError(f"{raw!r} must be one of: {', '.join(choices)}")
        return raw.strip()

    return parse


def rate(raw: str) -> str | None:
    """A rate such as 600/minute, None for an empty text."""
    value = raw.strip()
    count, _, unit = value.partition("/")
    if value and not (count.isascii() and count.isdigit() and unit in RATE_UNITS):
        raise ValueError(f"{raw!r} must read like 600/minute, with second, minute, hour or day, or be empty")
    return value or None


def instant(raw: str) -> datetime:
    """A time, in UTC."""
    try:
        value = datetime.fromisoformat(raw.strip())
    except ValueError:
        raise ValueError(f"{raw!r} must be a time like 2000-01-01T00:00:00Z") from None
    if value.tzinfo is None:
        raise ValueError(f"{raw!r} must carry a time zone, such as a Z at its end")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{raw!r} must lie in the years 1 to 9999 of UTC") from None


def broker_url(raw: str) -> str:
    """The URL of a broker."""
    url = text(raw)
    if url.split("://")[0] not in BROKER_SCHEMES:
        raise ValueError("must start with redis://, rediss://, redis+socket:// or sentinel://")
    _check_authority(url)
    if sentinel_url.is_sentinel(url):
        sentinel_url.parse(url)
    return url


def database_url(raw: str, session: str = "read-write") -> str:
    """The URL of a database, for SQLAlchemy with psycopg. Several hosts, as libpq writes them, go to its query."""
    scheme, _, rest = text(raw).partition("://")
    if scheme not in DATABASE_SCHEMES or not rest:
        raise ValueError("must start with postgresql://")
    parts = _split(f"postgresql+psycopg://{rest}")
    user, at, hosts = parts.netloc.rpartition("@")
    if "," in hosts:
        rest = f"{user}{at}{parts.path}?{_several(hosts, parts.query, session)}"
    elif "," in dict(parse_qsl(parts.query)).get("host", ""):
        rest = f"{parts.netloc}{parts.path}?{_attributes(parts.query, session)}"
    url = f"postgresql+psycopg://{rest}"
    _check_authority(url)
    return url


def replica_url(raw: str) -> str | None:
    """The URL of a database to read from, None for an empty text. Of several hosts a standby is the first choice."""
    return database_url(raw, "prefer-standby") if raw.strip() else None


def _several(hosts: str, query: str, session: str) -> str:
    # https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#specifying-multiple-fallback-hosts
    names, ports = [], []
    for place in hosts.split(","):
        host, bracket, port = place.partition("]")
        name, port = (host.removeprefix("["), port.removeprefix(":")) if bracket else place.partition(":")[::2]
        if not name or (port and not (port.isascii() and port.isdecimal() and 0 < int(port) <= sentinel_url.MAX_PORT)):
            raise ValueError("has hosts that do not read like host:5432,host:5432")
        names.append(quote(name, safe=":"))
        ports.append(port or "5432")
    return _attributes("&".join(filter(None, (f"host={','.join(names)}", f"port={','.join(ports)}", query))), session)


def _attributes(query: str, session: str) -> str:
    # Of several servers one takes writes: https://www.postgresql.org/docs/current/libpq-connect.html
    return query if "target_session_attrs=" in query else f"{query}&target_session_attrs={session}"


def _split(url: str) -> SplitResult:
    try:
        return urls.split(url)
    except ValueError:
        # Its own words would show the password.
        raise ValueError(f"is no URL; {ESCAPES}") from None


def _check_authority(url: str) -> None:
    # The errors never show the URL, as the password would stand in the wrong part of it.
    parts = _split(url)
    # A password with an unescaped @ or / ends too early: the rest of it would be taken for the host or the path.
    # The path of a socket may hold an @: nothing of a password can have got there when no user or password precedes it.
    is_socket = parts.scheme == "redis+socket" and not parts.netloc
    if parts.netloc.count("@") > 1 or (not is_socket and "@" in parts.path + parts.query + parts.fragment):
        raise ValueError(f"has an @ too many; {ESCAPES}")
    if sentinel_url.is_sentinel(url):
        # It has many ports.
        return
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"has no port between 0 and 65535; {ESCAPES}") from None
