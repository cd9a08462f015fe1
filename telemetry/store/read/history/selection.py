"""Which readings a question is about: a span of time, and a filter on series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, true

from telemetry.store.models import Gpu, Metric
from telemetry.store.read.filters import Some, among
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
    """Some of all series. A field without a value leaves all of them in.

    `labels` are pairs of a label and a value; of several values of one label a series has one.
    """

    gpu_ids: tuple[int, ...] = ()
    host: Some = None
    model: Some = None
    namespace: Some = None
    pod: Some = None
    user: Some = None
    account: Some = None
    job: Some = None
    metrics: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def owners(self) -> OwnerFilter:
        """Whose series. Found by time, unless a series names its owner: no part of `conditions`."""
        return OwnerFilter.of(self)

    def of_labels(self, columns: Mapping[str, Any]) -> list[ColumnElement[bool]]:
        """Conditions on the columns of labels, by the names of labels."""
        names = dict.fromkeys(name for name, _ in self.labels)
        return [columns[name].in_([value for other, value in self.labels if other == name]) for name in names]

    def conditions(self) -> list[ColumnElement[bool]]:
        """Conditions on gpus and metrics, joined with series."""
        return [
            *([Gpu.id.in_(self.gpu_ids)] if self.gpu_ids else []),
            *among(Gpu.host, self.host),
            *among(Gpu.model, self.model),
            *among(Metric.name, self.metrics),
        ]
