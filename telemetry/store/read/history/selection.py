"""Which readings a question is about: a span of time, and a filter on series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, true

from telemetry.store.models import Gpu, Metric
from telemetry.store.read.filters import among, equal
from telemetry.store.read.owned import OwnerFilter


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, both ends included. An end that is None is open."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, column: Any) -> ColumnElement[bool]:
        """The condition that a time lies in it."""
        after_start = [column >= self.start] if self.start else []
        before_end = [column <= self.end] if self.end else []
        return and_(true(), *after_start, *before_end)

    def within(self, other: Span) -> Span:
        """What it shares with another one."""
        starts, ends = ([end for end in pair if end] for pair in ((self.start, other.start), (self.end, other.end)))
        return Span(max(starts, default=None), min(ends, default=None))


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Some of all series. A field that is None, or no metric, leaves all of them in."""

    gpu_id: int | None = None
    host: str | None = None
    model: str | None = None
    namespace: str | None = None
    pod: str | None = None
    user: str | None = None
    account: str | None = None
    job: str | None = None
    metrics: tuple[str, ...] = ()

    @property
    def owners(self) -> OwnerFilter:
        """Whose series. Found by time, unless a series names its owner: no part of `conditions`."""
        return OwnerFilter.of(self)

    def conditions(self) -> list[ColumnElement[bool]]:
        """Conditions on gpus and metrics, joined with series."""
        return [
            *equal(
                (Gpu.id, self.gpu_id),
                (Gpu.host, self.host),
                (Gpu.model, self.model),
            ),
            *among(Metric.name, self.metrics),
        ]
