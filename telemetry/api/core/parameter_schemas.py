"""What is said about parameters: their JSON Schema in the specification, and the same in words in a refusal."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from telemetry import lengths
from telemetry.api.core.parameters import MAX_TEXT

TEXT = f"a text of 1 to {MAX_TEXT} characters without NUL, in UTF-8"
TIME = (
    "a time with a zone (RFC 3339), such as 2025-07-18T20:42:34Z, a day in UTC, such as 2025-07-18, one relative to now, such "
    "as -1h or now-1h, or Unix time in seconds or milliseconds"
)
# By what is in their patterns and in no other.
OF_PATTERNS = {
    lengths.PATTERN: "a length of time, such as 30s, 5m, 1h or 1d, or a number of seconds, such as 300",
    "readings": "a comparison with a number, such as value>80, value<=0.5 or readings>=10",
    "[^=": "a label and its value, such as team=vision",
    "^-?[0-9]": "a number, such as 50 or 0.5",
}


def parameter_schema(query: type[BaseModel], name: str) -> dict[str, Any]:
    """The JSON Schema of a parameter's values. Whether it may be left out is not part of it."""
    schema = dict(query.model_json_schema()["properties"][name])
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        del schema["anyOf"]
        schema |= options[0]
    if schema.get("default", 0) is None:
        del schema["default"]
    # Pydantic's names for the bounds of a number that may be left out.
    for pydantic_name, json_name in (("ge", "minimum"), ("le", "maximum")):
        if pydantic_name in schema:
            schema[json_name] = schema.pop(pydantic_name)
    return {key: value for key, value in schema.items() if key not in {"title", "description"}}


def in_words(schema: dict[str, Any]) -> str:
    """A schema in words, to follow "must be"."""
    match schema:
        case {"type": "integer", "minimum": low, "maximum": high}:
            return f"a whole number from {low} to {high}"
        case {"enum": [*words, last]}:
            return f"{', '.join(words)} or {last}"
        case {"type": "array", "maxItems": limit, "items": dict(items)}:
            return f"given at most {limit} times, each {in_words(items)}"
        case {"anyOf": [{"enum": words}, {"pattern": _}]}:
            return f"{', '.join(words)}, or label. and the name of a label"
        case {"anyOf": [{"format": "date-time"}, *_]}:
            return TIME
    pattern = schema.get("pattern", "")
    return next((words for part, words in OF_PATTERNS.items() if part in pattern), TEXT)
