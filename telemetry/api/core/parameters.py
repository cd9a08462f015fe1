"""The types of query parameters. Each is read strictly, and describes itself in the specification."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from telemetry import lengths
from telemetry.readings.aggregates import Group
from telemetry.store.read.history.chosen import Condition

MAX_TEXT = 500
MAX_OFFSET = 1_000_000_000
MAX_ID = 2**53
# A plus sign that was not encoded arrives as a blank: the one between the seconds of a time and its zone.
BLANK_ZONE = re.compile(r"(:[0-9]{2}(?:\.[0-9]+)?) ([0-9]{2}:?[0-9]{2})\Z")
RELATIVE = re.compile(r"now|(?:now)?-([0-9]{1,10})([smhdw])", re.ASCII)
# Unix time as Prometheus writes it (seconds) and as Grafana does (milliseconds), from 1973 to 5138. Shorter numbers would be
# taken for years or days.
SINCE_1970 = re.compile(r"([0-9]{9,11}(?:\.[0-9]{1,9})?)|([0-9]{12,14})", re.ASCII)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
NUMBER = r"-?[0-9]{1,15}(\.[0-9]{1,9})?"
CONDITION = re.compile(rf"(value|readings)?(<=|>=|!=|<|>|=)({NUMBER})", re.ASCII)
LABELLED = re.compile(r"([^=\x00]{1,100})=([^\x00]{1,390})")
BY_LABEL = re.compile(r"label\.[^,\x00]{1,100}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
            return datetime.now(UTC) - (timedelta(**{lengths.UNITS[unit]: int(count)}) if unit else timedelta())
        if match := SINCE_1970.fullmatch(raw):
            seconds, millis = match.groups()
            return EPOCH + (
                timedelta(microseconds=int(Decimal(seconds) * 1_000_000)) if seconds else timedelta(milliseconds=int(millis))
            )
        if DAY.fullmatch(raw):
            return datetime.fromisoformat(raw).replace(tzinfo=UTC)
        # Python reads only capital T and Z; RFC 3339 allows both.
        value = datetime.fromisoformat(BLANK_ZONE.sub(r"\1+\2", raw.upper()))
        if value.tzinfo is not None:
            return value.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError


def _condition(raw: Any) -> Any:
    if not (isinstance(raw, str) and (match := CONDITION.fullmatch(raw))):
        raise ValueError
    return Condition("readings" if match[1] == "readings" else "value", match[2], float(match[3]))


def _labelled(raw: Any) -> Any:
    if not (isinstance(raw, str) and (match := LABELLED.fullmatch(raw))):
        raise ValueError
    raw.encode()
    return match[1], match[2]


def _group(raw: Any) -> Any:
    if not isinstance(raw, str) or not (raw in get_args(Group) or BY_LABEL.fullmatch(raw)):
        raise ValueError
    raw.encode()
    return raw


def _number(raw: Any) -> Any:
    if not (isinstance(raw, str) and re.fullmatch(NUMBER, raw, re.ASCII)):
        raise ValueError
    return float(raw)


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
                {"type": "string", "format": "date"},
                {"type": "string", "pattern": "^(now|(now)?-[0-9]{1,10}[smhdw])$"},
                {"type": "string", "pattern": "^([0-9]{9,11}(\\.[0-9]{1,9})?|[0-9]{12,14})$"},
            ],
            "examples": ["2025-07-18T20:42:34Z", "2025-07-18", "-1h", "now-1h", "1752871354", "1752871354000"],
        }
    ),
]
Step = Annotated[
    timedelta,
    BeforeValidator(lengths.read),
    WithJsonSchema({"type": "string", "pattern": f"^({lengths.PATTERN})$", "examples": ["5m", "300"]}),
]
Compared = Annotated[
    Condition,
    PlainValidator(_condition),
    WithJsonSchema(
        {"type": "string", "pattern": f"^(value|readings)?(<=|>=|!=|<|>|=){NUMBER}$", "examples": ["value>80", "readings>=10"]}
    ),
]
Number = Annotated[
    float, PlainValidator(_number), WithJsonSchema({"type": "string", "pattern": f"^{NUMBER}$", "examples": ["50", "0.5"]})
]
Labelled = Annotated[
    tuple[str, str],
    PlainValidator(_labelled),
    WithJsonSchema({"type": "string", "pattern": r"^[^=\x00]{1,100}=[^\x00]{1,390}$", "examples": ["team=vision"]}),
]
Grouped = Annotated[
    str,
    PlainValidator(_group),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": list(get_args(Group))},
                {"type": "string", "pattern": r"^label\.[^,\x00]{1,100}$"},
            ]
        }
    ),
]
Encoding = Literal["json", "ndjson", "csv", "arrow", "parquet"]


def is_name(text: str) -> bool:
    """Whether a text from a path can be the name of anything."""
    return len(text) <= MAX_TEXT and text.isprintable()
