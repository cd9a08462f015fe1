"""Query parameters as types: each is read strictly, says what it must be, and describes itself in the specification.

A `Query` is the parameters of one operation. One that is unknown, given twice or cannot be used is refused by its name.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from werkzeug.datastructures import MultiDict

from telemetry.api.core.problems import bad_parameter

MAX_TEXT = 500
MAX_OFFSET = 1_000_000_000
MAX_ID = 2**53
# A plus sign that was not encoded arrives as a blank: the one between a time's seconds and its zone.
BLANK_ZONE = re.compile(r"(:[0-9]{2}(?:\.[0-9]+)?) ([0-9]{2}:?[0-9]{2})\Z")
RELATIVE = re.compile(r"now|-([0-9]{1,6})([smhdw])")
STEP = re.compile(r"([1-9][0-9]{0,4})([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _whole(raw: Any) -> Any:
    # Python's int takes blanks, underscores and the digits of every script.
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
        if found := RELATIVE.fullmatch(raw):
            back = timedelta(**{UNITS[found[2]]: int(found[1])}) if found[2] else timedelta()
            return datetime.now(UTC) - back
        # Python reads only capital T and Z; RFC 3339 allows both.
        value = datetime.fromisoformat(BLANK_ZONE.sub(r"\1+\2", raw.upper()))
        if value.tzinfo is not None:
            return value.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError


def _step(raw: Any) -> Any:
    if not (found := STEP.fullmatch(raw)):
        raise ValueError
    return timedelta(**{UNITS[found[2]]: int(found[1])})


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
Order = Literal["asc", "desc"]
Format = Literal["json", "ndjson", "csv", "arrow", "parquet"]


class Query(BaseModel):
    """The parameters of an operation; of its own it has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Spanned(Query):
    """A stretch of time."""

    start_time: Instant | None = Field(None, description="first time, included: RFC 3339 with a zone, or relative as -1h")
    end_time: Instant | None = Field(None, description="last time, included: RFC 3339 with a zone, or relative as -5m, or now")

    def model_post_init(self, context: Any) -> None:
        """See that the ends are in order."""
        super().model_post_init(context)
        if self.start_time and self.end_time and self.start_time > self.end_time:
            raise bad_parameter("start_time", "start_time lies after end_time; exchange them")


class Tabular(Query):
    """A list, a page at a time in JSON, as much as is asked for in the other formats."""

    limit: Whole | None = Field(None, ge=1, le=1000, description="rows at most; JSON gives 100 unless told")
    offset: Whole = Field(0, ge=0, le=MAX_OFFSET, description="rows to leave out before the first")
    page: Whole | None = Field(None, ge=1, le=1_000_000, description="the page, from 1; another way to say offset")
    page_size: Whole | None = Field(None, ge=1, le=1000, description="rows of a page; another way to say limit")
    format: Format | None = Field(None, description="the format of the answer, whatever Accept says")

    def model_post_init(self, context: Any) -> None:
        """See that a page is told in one way."""
        super().model_post_init(context)
        if self.page_size and self.limit:
            raise bad_parameter("page_size", "page_size and limit say the same; give one")
        if self.page and "offset" in self.model_fields_set:
            raise bad_parameter("page", "page and offset say the same; give one")


class Followed(Tabular):
    """A list that grows or shrinks while it is read: a cursor goes on where a page ended, whatever came and went since."""

    cursor: Text | None = Field(None, description="next_cursor of the page before: goes on where that ended")

    def model_post_init(self, context: Any) -> None:
        """See that a page begins at one place."""
        super().model_post_init(context)
        if self.cursor and (self.offset or self.page):
            raise bad_parameter("cursor", "cursor says where to go on, so leave out offset and page")


Q = TypeVar("Q", bound=Query)


def is_name(text: str) -> bool:
    """Whether a text from a path can be the name of anything."""
    return len(text) <= MAX_TEXT and text.isprintable()


def read(kind: type[Q], given: MultiDict[str, str]) -> Q:
    """The parameters of a request. Raises ProblemError, which names the one at fault and what it must be."""
    fields = kind.model_fields
    raw: dict[str, Any] = {}
    for name, values in given.lists():
        if name not in fields:
            raise bad_parameter(name, f"there is no parameter {name[:50]!r} here; known are: {', '.join(fields) or 'none'}")
        repeatable = get_origin(fields[name].annotation) is tuple
        if len(values) > 1 and not repeatable:
            raise bad_parameter(name, f"{name} may be given once")
        raw[name] = values if repeatable else values[0]
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        at_fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = str(at_fault["loc"][0])
        if at_fault["type"] == "missing":
            raise bad_parameter(name, f"{name} is missing: {fields[name].description}") from None
        raise bad_parameter(name, f"{name} must be {expected(parameter_schema(kind, name))}") from None


def parameter_schema(kind: type[Query], name: str) -> dict[str, Any]:
    """What a parameter must be, as JSON Schema; that it may be left out is said elsewhere."""
    found = dict(kind.model_json_schema()["properties"][name])
    options = [each for each in found.get("anyOf", []) if each != {"type": "null"}]
    if len(options) == 1:
        del found["anyOf"]
        found |= options[0]
    if found.get("default", 0) is None:
        del found["default"]
    # What pydantic calls the bounds of a number that may be left out.
    for mine, proper in (("ge", "minimum"), ("le", "maximum")):
        if mine in found:
            found[proper] = found.pop(mine)
    return {key: value for key, value in found.items() if key not in {"title", "description"}}


def expected(schema: dict[str, Any]) -> str:
    """A schema in words."""
    match schema:
        case {"type": "integer", "minimum": low, "maximum": high}:
            return f"a whole number from {low} to {high}"
        case {"enum": [*words, last]}:
            return f"{', '.join(words)} or {last}"
        case {"type": "array", "maxItems": most, "items": dict(items)}:
            return f"given at most {most} times, each {expected(items)}"
        case {"anyOf": [{"format": "date-time"}, *_]}:
            return "a time with a zone (RFC 3339), such as 2025-07-18T20:42:34Z, or one relative to now, such as -1h"
        case {"type": "string", "pattern": pattern} if "smhd" in pattern:
            return "a length of time, such as 30s, 5m, 1h or 1d"
    return f"a text of 1 to {MAX_TEXT} characters without NUL, in UTF-8"
