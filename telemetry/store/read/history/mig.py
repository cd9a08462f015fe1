"""MIG: readings of a whole GPU and of its instances are of the same thing, so an aggregate counts one of the two.

An instance's series has a `mig_instance`; the series of the whole GPU, which we call its parent, has none.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import aliased

from telemetry.store.models import Series
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.history.stored import samples_of


def counted_once(some: SeriesFilter, span: Span, *, instances: bool = False) -> ColumnElement[bool]:
    """The condition that a series is not counted a second time, to be added to the conditions of `some`.

    An instance is left out where its parent has readings of the same metric in the span. With `instances` it is the other way
    round: then parents are left out. Only series that the filter selects count. A GPU whose MIG mode changed within the span
    gives the readings of one of the two alone.
    """
    other: Any = aliased(Series)
    read = exists(select(samples_of(other.id, span).c.ts))
    same = [other.gpu_id == Series.gpu_id, other.metric_id == Series.metric_id]
    same.append(some.owners.had(span.start, span.end, other))
    if instances:
        return or_(
            Series.mig_instance.is_not(None), ~exists(select(other.id).where(*same, other.mig_instance.is_not(None), read))
        )
    return or_(Series.mig_instance.is_(None), ~exists(select(other.id).where(*same, other.mig_instance.is_(None), read)))
