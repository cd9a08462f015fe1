"""The types of query parameters. Each is read strictly, and describes itself in the specification."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

MAX_TEXT = 500
MAX_OFFSET = 1_000_000_000
MAX_ID = 2**53
# A plus sign that was not encoded arrives as a blank: the one between the seconds of a time and its zone.
BLANK_ZONE = re.compile(r"(:[0-9]{2}(?:\.[0-9]+)?) ([0-9]{2}:?[0-9]{2})\Z")
RELATIVE = re.compile(r"now|-([0-9]{1,6})([smhdw])")
STEP = re.compile(r"([1-9][0-9]{0,4})([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _whole(raw: Any) -> Any:
    # Python's int accepts blanks, underscores and the digits of every script.
    if isinstance(raw, str) and not re.fullmatch(r"-?[0-9]{1,16}", raw, re.ASCII):
        raise ValueError
    return raw


def _text(raw: Any) -> Any:
    if not 0 < len(raw) <= MAX_TEXT or "\0" in raw:
        raise ValueError
    raw.encode()
    return raw


def _instant(raw: Any) -> Any:
    try:
        if match := RELATIVE.fullmatch(raw):
            count, unit = match.groups()
            return datetime.now(UTC) - (timedelta(**{UNITS[unit]: int(count)}) if unit else timedelta())
        # Python reads only capital T and Z; RFC 3339 allows both.
        value = datetime.fromisoformat(BLANK_ZONE.sub(r"\1+\2", raw.upper()))
        if value.tzinfo is not None:
            return value.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError


def _step(raw: Any) -> Any:
    if not (match := STEP.fullmatch(raw)):
        raise ValueError
    count, unit = match.groups()
    return timedelta(**{UNITS[unit]: int(count)})


Whole = Annotated[int, BeforeValidator(_whole)]
Text = Annotated[
    str,
    BeforeValidator(_text),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": r"^[^\x00]+$"}),
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "pattern": "^(now|-[0-9]{1,6}[smhdw])$"},
            ],
            "examples": ["2025-07-18T20:42:34Z", "-1h"],
        }
    ),
]
Step = Annotated[
    timedelta,
    BeforeValidator(_step),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,4}[smhd]$", "examples": ["5m"]}),
]
Encoding = Literal["json", "ndjson", "csv", "arrow", "parquet"]


def is_name(text: str) -> bool:
    """Whether a text from a path can be the name of anything."""
    return len(text) <= MAX_TEXT and text.isprintable()
