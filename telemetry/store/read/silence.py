"""When a GPU was read last, and how long it has been silent. To the minute, as allocations are: it errs towards being heard.

What a scheduler tells is not read (`telemetry.store.told`). A GPU without any other allocation was read by collectors of before
revision 0009 alone: its samples tell.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Double, cast, desc, func, select, text, true

from telemetry.store.models import Allocation, Gpu, Series
from telemetry.store.read.history.stored import outermost
from telemetry.store.told import TELLING_METRICS, TOLD_OWNERS


def last_seen() -> ColumnElement[Any]:
    """The end of the minute of the last reading of a GPU, at most now; null if it never had one."""
    is_read = Allocation.owner_id.not_in(text(f"({TOLD_OWNERS})"))
    held = select(func.least(func.now(), func.upper(Allocation.held))).where(Allocation.gpu_id == Gpu.id, is_read)
    minute = held.order_by(desc(Allocation.day), desc(func.upper(Allocation.held))).limit(1)
    last = outermost(Series.id, "last")
    is_of_gpu = Series.metric_id.not_in(text(f"({TELLING_METRICS})"))
    sample = select(func.max(last.c.ts)).select_from(Series).join(last, true()).where(Series.gpu_id == Gpu.id, is_of_gpu)
    latest = func.coalesce(*(each.correlate(Gpu).scalar_subquery() for each in (minute, sample)))
    return cast(latest, DateTime(timezone=True))


def seconds_since(moment: ColumnElement[Any]) -> ColumnElement[float]:
    """How many seconds ago a time was."""
    return cast(func.extract("epoch", func.now() - moment), Double)


def is_silent(moment: ColumnElement[Any], first_seen: Any, silent_for: timedelta | None) -> list[ColumnElement[bool]]:
    """The condition that nothing was read for so long; what never had a reading is silent since it is known."""
    return [] if silent_for is None else [func.coalesce(moment, first_seen) <= func.now() - silent_for]
