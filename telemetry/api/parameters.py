"""Query parameters: read strictly. One that is unknown, given twice or cannot be used is refused by its name."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Literal

from flask import request

from telemetry.api.errors import bad_parameter
from telemetry.store.queries import Page, Span

MAX_TEXT = 500
MAX_OFFSET = 1_000_000_000
# A plus sign that was not encoded arrives as a blank: the one between a time's seconds and its zone.
BLANK_ZONE = re.compile(r"(:[0-9]{2}(?:\.[0-9]+)?) ([0-9]{2}:?[0-9]{2})\Z")


def only(*known: str, repeatable: Collection[str] = ()) -> None:
    """Refuse parameters that the resource does not have, and those given more than once."""
    for name, values in request.args.lists():
        if name not in known:
            raise bad_parameter(name, f"there is no parameter {name[:50]!r} here; known are: {', '.join(known) or 'none'}")
        if len(values) > 1 and name not in repeatable:
            raise bad_parameter(name, f"{name} may be given once")


def text(name: str) -> str | None:
    """A text, None if it is not given."""
    return _clean(name, request.args[name]) if name in request.args else None


def texts(name: str) -> list[str]:
    """All values of a repeatable text."""
    return [_clean(name, value) for value in request.args.getlist(name)]


def page(*, default: int, most: int) -> Page:
    """`limit` and `offset`."""
    return Page(_whole("limit", default, 1, most), _whole("offset", 0, 0, MAX_OFFSET))


def span() -> Span:
    """`start_time` and `end_time`."""
    found = Span(_instant("start_time"), _instant("end_time"))
    if found.start and found.end and found.start > found.end:
        raise bad_parameter("start_time", "start_time lies after end_time; exchange them")
    return found


def order() -> Literal["asc", "desc"]:
    """`order`: by time, up or down."""
    match request.args.get("order", "asc"):
        case "asc":
            return "asc"
        case "desc":
            return "desc"
    raise bad_parameter("order", "order must be asc or desc")


def _clean(name: str, value: str) -> str:
    if not value or len(value) > MAX_TEXT or "\0" in value:
        raise bad_parameter(name, f"{name} must be a text of 1 to {MAX_TEXT} characters without NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise bad_parameter(name, f"{name} is not UTF-8") from None
    return value


def _whole(name: str, default: int, low: int, high: int) -> int:
    raw = request.args.get(name)
    if raw is None:
        return default
    if not (raw.isascii() and raw.isdigit() and len(raw) < 12 and low <= int(raw) <= high):  # noqa: PLR2004
        raise bad_parameter(name, f"{name} must be a whole number from {low} to {high}")
    return int(raw)


def _instant(name: str) -> datetime | None:
    raw = request.args.get(name)
    if raw is None:
        return None
    try:
        # Python reads only capital T and Z; RFC 3339 allows both.
        value = datetime.fromisoformat(BLANK_ZONE.sub(r"\1+\2", raw.upper()))
        if value.tzinfo is not None:
            return value.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise bad_parameter(name, f"{name} must be a time with a zone (RFC 3339), such as 2025-07-18T20:42:34Z")
