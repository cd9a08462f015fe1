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


def aggregated(aggregate: Aggregate, sample: Any = Sample) -> ColumnElement[Any]:
    """An aggregate of sample values; `sample` has the columns of a sample."""
    match aggregate:
        case "avg":
            # Postgres' own avg adds up squares too, so it overflows on values whose mean is well in range.
            return func.sum(sample.value) / func.count()
        case "min" | "max" | "sum":
            return getattr(func, aggregate)(sample.value)  # type: ignore[no-any-return]
        case "count":
            return cast(func.count(), Double)
        case "last":
            # The largest (time, series, value) needs the memory of one. A float has room for microseconds.
            latest = array([func.date_part("epoch", sample.ts), cast(sample.series_id, Double), sample.value])
            return func.max(latest, type_=ARRAY(Double))[3]
    return func.percentile_cont(int(aggregate[1:]) / 100).within_group(sample.value)


def step_start(step: timedelta, sample: Any = Sample) -> Any:
    """The start of the step that a sample lies in, as the column `timestamp`."""
    return func.date_bin(step, sample.ts, cast(ORIGIN, Sample.ts.type)).label("timestamp")
