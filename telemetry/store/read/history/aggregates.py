"""How the values of samples become one: aggregates, and the steps of time that they are taken over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Double, cast, func, literal
from sqlalchemy.dialects.postgresql import ARRAY, array

from telemetry.readings.aggregates import Aggregate
from telemetry.store.models import Sample

# Steps begin at multiples of their length since then.
ORIGIN = literal("1970-01-01T00:00:00Z")


def aggregated(aggregate: Aggregate) -> ColumnElement[Any]:
    """An aggregate of sample values."""
    match aggregate:
        case "avg":
            # Postgres' own avg adds up squares too, so it overflows on values whose mean is well in range.
            return func.sum(Sample.value) / func.count()
        case "min" | "max" | "sum":
            return getattr(func, aggregate)(Sample.value)  # type: ignore[no-any-return]
        case "count":
            return cast(func.count(), Double)
        case "last":
            # The largest (time, series, value) needs the memory of one. A float has room for microseconds.
            sample = array([func.date_part("epoch", Sample.ts), cast(Sample.series_id, Double), Sample.value])
            return func.max(sample, type_=ARRAY(Double))[3]
    return func.percentile_cont(int(aggregate[1:]) / 100).within_group(Sample.value)


def step_start(step: timedelta) -> Any:
    """The start of the step that a sample lies in, as the column `timestamp`."""
    return func.date_bin(step, Sample.ts, cast(ORIGIN, Sample.ts.type)).label("timestamp")
