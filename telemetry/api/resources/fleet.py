"""`/query`: one metric aggregated over many GPUs at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.columns import narrowed
from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.parameters import Step, Text, Whole
from telemetry.api.core.queries import OfOwner, Spanned, Tabular
from telemetry.api.operations import listing
from telemetry.readings.aggregates import Aggregate, Group
from telemetry.store.read.history import fleet
from telemetry.store.read.history.selection import SeriesFilter, Span

# What is aggregated when no start is given: all of history would be sure to take too long.
DEFAULT_SPAN = timedelta(hours=1)

blueprint = Blueprint("fleet", __name__)


class GroupAggregate(BaseModel):
    """An aggregate of a group's readings in a step. It has the fields that were asked for: `timestamp` with steps, and groups.

    A group that is null is that of the readings without such a label. With `gpu` come its host, index and model.
    """

    timestamp: datetime | None = Field(None, description="when the step begins; only with step")
    host: str | None = None
    gpu: str | None = None
    index: int | None = None
    model: str | None = None
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    job: str | None = None
    user: str | None = None
    account: str | None = None
    value: float | None = Field(description="the aggregate; null where JSON cannot write it, such as NaN")
    readings: int = Field(description="how many readings it is made of")


class FleetQuery(OfOwner, Spanned, Tabular):
    """What is aggregated over which GPUs, by what."""

    host: Text | None = Field(None, description="only of this host")
    model: Text | None = Field(None, description="only of GPUs of this model")
    metric: Text = Field(description="the metric that is aggregated")
    agg: Aggregate = Field("avg", description="how readings become one value")
    by: tuple[Group, ...] = Field((), max_length=9, description="a value for each of these; repeated, or with commas between")
    step: Step | None = Field(None, description="a value for each step of this length; if not given, one for the whole span")
    top: Whole | None = Field(
        None, ge=1, le=1000, description="only so many groups, those with the largest value over the span"
    )

    def span(self) -> Span:
        """The span, which begins an hour before its end unless a start is given."""
        if self.start_time is not None:
            return Span(self.start_time, self.end_time)
        end = self.end_time or datetime.now(UTC)
        try:
            return Span(end - DEFAULT_SPAN, self.end_time)
        except OverflowError:
            return Span(end, self.end_time)


@listing(blueprint, "/query", Listed[GroupAggregate], FleetQuery, codes=("host_not_found", "metric_not_found"))
def query_fleet(query: FleetQuery, page: Page) -> Table:
    """One metric aggregated over the fleet: by groups, in steps, of the top groups alone.

    Without start_time the last hour before end_time, or before now, is aggregated. Where a GPU has readings of its own, those
    of its MIG instances are left out; grouped by namespace, pod or container it is the other way round.
    """
    lookups.check(metrics=(query.metric,), host=query.host)
    some = query.filter(SeriesFilter, gpu_id=None, metrics=(query.metric,))
    asked = fleet.Aggregation(some, query.span(), query.by, query.agg, query.step, query.top)
    return Table(narrowed(GroupAggregate, asked.columns), fleet.aggregate(asked), page)
