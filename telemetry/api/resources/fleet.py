"""`/query`: one metric aggregated over many GPUs at once."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.columns import narrowed
from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.connections import connections
from telemetry.api.core.parameters import Compared, Grouped, Labelled, Number, Step, Text, Whole
from telemetry.api.core.problems import bad_parameter
from telemetry.api.core.queries import OnGpus, Query, Spanned, Tabular
from telemetry.api.operations import listing, operation
from telemetry.readings.aggregates import FleetAggregate
from telemetry.readings.derived import DERIVED, Formula
from telemetry.readings.tellers import TOLD_BY
from telemetry.store.read.history import fleet
from telemetry.store.read.history.chosen import BRIDGE, Aggregation
from telemetry.store.read.history.selection import SeriesFilter
from telemetry.store.read.sealed import paths

MAX_LIMIT = 10_000
# Edges of the buckets of a histogram that names none: right for percent.
BUCKETS = tuple(float(edge) for edge in range(10, 100, 10))

blueprint = Blueprint("fleet", __name__)


class DerivedMetric(BaseModel):
    """A metric that is made of others: the readings of one GPU (or MIG instance) at one time, by a formula."""

    name: str
    formula: str
    unit: str
    description: str


class DerivedMetrics(BaseModel):
    """All derived metrics."""

    items: list[DerivedMetric]


class GroupAggregate(BaseModel):
    """An aggregate of a group's readings in a step. It has the fields that were asked for: `timestamp` with steps, and groups.

    A group that is null is that of the readings without such a label. With `gpu` come its host, index and model. A group by a
    label has a field of its name, such as `label.team`. Only buckets of a histogram have `low` and `high`.
    """

    timestamp: datetime | None = Field(None, description="when the step begins; only with step")
    cluster: str | None = None
    edge: str | None = None
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
    low: float | None = Field(None, description="the least value of a bucket; null for all below the first")
    high: float | None = Field(None, description="the value that a bucket ends before; null for all from the last on")
    value: float | None = Field(description="the aggregate; null where there is none, or one that JSON cannot write")
    readings: int = Field(description="how many readings it is made of")


class Aggregates(Listed[GroupAggregate]):
    """A page of aggregates. `formula` is how a derived metric is made, null for one that was read."""

    metric: str
    formula: str | None


class FleetQuery(OnGpus, Spanned, Tabular):
    """What is aggregated over which GPUs, by what."""

    metric: Text = Field(description="the metric that is aggregated, or the name of a derived one")
    per: Text | None = Field(None, description="a metric that each value is divided by, of the same GPU at the same time")
    agg: FleetAggregate = Field("avg", description="how readings become one value; docs/FLEET.md defines each")
    by: tuple[Grouped, ...] = Field(
        (),
        max_length=11,
        description="a value for each of these, or of a label, as label.team; repeated, or with commas",
    )
    label: tuple[Labelled, ...] = Field(
        (), max_length=20, description="only with this label, as team=vision; label.team=vision means the same"
    )
    where: tuple[Compared, ...] = Field((), max_length=5, description="only readings whose value is so, such as value<5")
    having: tuple[Compared, ...] = Field((), max_length=5, description="only rows of the answer that are so, such as value>80")
    step: Step | None = Field(None, description="a value for each step of this length; if not given, one for the whole span")
    top: Whole | None = Field(
        None, ge=1, le=1000, description="only so many groups, those with the largest value over the span"
    )
    bottom: Whole | None = Field(None, ge=1, le=1000, description="the same, with the smallest value")
    sort: Text | None = Field(None, description="a column that rows are ordered by first, such as value; - reverses the order")
    buckets: tuple[Number, ...] = Field(
        (), max_length=100, description="rising edges of a histogram's buckets; 10 to 90 if not given"
    )
    bridge: Step | None = Field(None, description="the longest time between two readings that counts as read; 10m if not given")
    limit: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows at most; in JSON 100 if not given")
    page_size: Whole | None = Field(None, ge=1, le=MAX_LIMIT, description="rows of a page; another way to give limit")

    def model_post_init(self, context: Any) -> None:
        """Check that the parameters fit together."""
        super().model_post_init(context)
        if self.top and self.bottom:
            raise bad_parameter("bottom", "top and bottom are given; give one of them")
        if self.buckets and self.agg != "histogram":
            raise bad_parameter("buckets", "buckets needs agg=histogram")
        if (self.top or self.bottom) and self.agg == "histogram":
            raise bad_parameter("top" if self.top else "bottom", "a histogram has all groups; leave out top and bottom")
        if list(self.buckets) != sorted(set(self.buckets)):
            raise bad_parameter("buckets", "the edges of buckets must rise, such as buckets=10,50,90")
        if any(each.column != "value" for each in self.where):
            raise bad_parameter("where", "where compares the value of a reading, such as value<5; having compares rows")

    def formula(self) -> Formula | None:
        """How the values are made of several metrics; None for those of one. Raises ProblemError."""
        derived = DERIVED.get(self.metric)
        if self.per is None:
            return derived.formula if derived else None
        if derived or self.per in DERIVED:
            raise bad_parameter("per", "a derived metric is divided by nothing; leave out per")
        return Formula((self.metric,), (self.per,))

    def aggregation(self) -> Aggregation:
        """The question to the store. Raises ProblemError."""
        formula = self.formula()
        metrics = formula.metrics if formula else (self.metric,)
        lookups.check(metrics=metrics, host=self.host)
        asked = Aggregation(
            self.filter(SeriesFilter, gpu_ids=(), metrics=metrics, labels=self.label),
            self.recent(),
            self.by,
            self.agg,
            self.step,
            self.top,
            self.bottom,
            formula,
            self.where,
            self.having,
            self.buckets or BUCKETS,
            self.sort,
            self.bridge or BRIDGE,
            (*connections().settings.owner_labels, TOLD_BY),
        )
        if self.sort and self.sort.removeprefix("-") not in asked.columns:
            raise bad_parameter("sort", f"sort must be one of the answer's columns: {', '.join(asked.columns)}; - reverses it")
        return asked


@listing(blueprint, "/query", Aggregates, FleetQuery, codes=("host_not_found", "metric_not_found"))
def query_fleet(query: FleetQuery, page: Page) -> Table:
    """One metric aggregated over the fleet: by groups, in steps, of the top groups alone.

    Without start_time the last hour before end_time, or before now, is aggregated. Where a GPU has readings of its own, those
    of its MIG instances are left out; grouped by namespace, pod or container it is the other way round.
    """
    asked = query.aggregation()
    around = {"metric": query.metric, "formula": asked.formula.text if asked.formula else None}
    item = narrowed(GroupAggregate, asked.columns)
    return Table(item, partial(fleet.aggregate, asked), page, around=around, reader=paths.of_fleet(asked, page.rows_needed))


@operation(blueprint, "/derived-metrics", DerivedMetrics, Query)
def list_derived_metrics(_: Query) -> dict[str, Any]:
    """The metrics that `query` makes of others, with their formulas."""
    return {
        "items": [
            {"name": name, "formula": derived.formula.text, "unit": "ratio", "description": derived.description}
            for name, derived in DERIVED.items()
        ]
    }
