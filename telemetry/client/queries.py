"""Query parameters from Python values: times, lengths of time, and the one vocabulary of all methods.

The words are `metrics`, `start`, `end`, `step`, `agg`, `by`; the API's own (`metric`, `start_time`, `end_time`) mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from telemetry import lengths
from telemetry.readings.aggregates import Aggregate

# A time with a zone, a day in UTC, or a text such as -1h, now or 2025-07-18T20:42:34Z.
Time = datetime | date | str
# A length of time, a number of seconds, or a text such as 5m.
Length = timedelta | int | str
# One name, several with commas between, or a list of them.
Names = str | Sequence[str]
WORDS = {"start": "start_time", "end": "end_time", "metrics": "metric"}


def of_readings(
    metrics: Names, start: Time | None, end: Time | None, step: Length | None, agg: Aggregate | None
) -> dict[str, Any]:
    """The parameters of a question about readings."""
    return written({"metrics": metrics or None, "start": start, "end": end, "step": step, "agg": agg})


def written(query: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as the API reads them; those that are None are left out.

    Raises ValueError for a time without a zone, and for a parameter that is given under both of its names.
    """
    parameters: dict[str, Any] = {}
    for word, value in query.items():
        if value is None:
            continue
        name = WORDS.get(word, word)
        if name in parameters:
            raise ValueError(f"{word} and {_other(word)} mean the same; give one of them")
        parameters[name] = _text(value)
    return parameters


def _other(word: str) -> str:
    names = {name: alias for alias, name in WORDS.items()}
    return WORDS.get(word) or names[word]


def _text(value: Any) -> Any:
    match value:
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{value} has no zone; give it one, such as datetime.UTC")
            return value.isoformat()
        case date():
            return value.isoformat()
        case timedelta():
            return lengths.written(value)
        case list() | tuple() | set() | frozenset():
            return [_text(item) for item in value]
    return value
