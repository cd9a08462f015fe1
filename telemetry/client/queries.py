"""Query parameters from Python values: times, lengths of time, names in paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from telemetry.readings.aggregates import Aggregate

# A time with a zone, or a text such as -1h, now or 2025-07-18T20:42:34Z.
Time = datetime | str
# A length of time, or a text such as 5m.
Length = timedelta | str
# The largest number of a unit of time that the API takes, and the units in seconds.
MAX_UNITS = 99_999
UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def of_readings(
    metrics: Sequence[str], start: Time | None, end: Time | None, step: Length | None, agg: Aggregate | None
) -> dict[str, Any]:
    """The parameters of a question about readings."""
    return written({"metric": list(metrics), "start_time": start, "end_time": end, "step": step, "agg": agg})


def written(query: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as the API reads them; those that are None are left out. Raises ValueError for a time without a zone."""
    return {name: _text(value) for name, value in query.items() if value is not None}


def part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def telemetry_of(gpu: str) -> str:
    """The path of the readings of a GPU."""
    return f"gpus/{part(gpu)}/telemetry"


def _text(value: Any) -> Any:
    match value:
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{value} has no zone; give it one, such as datetime.UTC")
            return value.isoformat()
        case timedelta():
            return _length(value)
    return value


def _length(value: timedelta) -> str:
    """A length of time in the largest unit of which it is a whole number."""
    for unit, seconds in UNITS.items():
        count, rest = divmod(value, timedelta(seconds=seconds))
        if not rest and 0 < count <= MAX_UNITS:
            return f"{count}{unit}"
    raise ValueError(f"{value} is not a whole number of seconds, minutes, hours or days from 1 to {MAX_UNITS}")
