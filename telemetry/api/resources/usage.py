"""`/usage`: who used how much, of what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.columns import narrowed
from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.connections import connections
from telemetry.api.core.problems import bad_parameter
from telemetry.api.core.queries import Many, OnGpus, Spanned, Tabular, some
from telemetry.api.guards import access
from telemetry.api.operations import listing
from telemetry.store.read import usage
from telemetry.store.read.usage import UsageGroup, Use

# What is summed up when no start is given.
DEFAULT_SPAN = timedelta(days=7)
# fmt: off
UsageSort = Literal[
    "held_hours", "-held_hours", "idle_hours", "-idle_hours", "low_use_hours", "-low_use_hours", "free_hours", "-free_hours",
    "energy_kwh", "-energy_kwh", "cost", "-cost",
]
# fmt: on

blueprint = Blueprint("usage", __name__)


class Usage(BaseModel):
    """How much of GPUs a group used. It has the groups that were asked for; with `gpu` come its host, index and model.

    Where several owners have a GPU at once, each gets an even share of that time. A group that is null is that of what has no
    such label: nobody's, too.
    """

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
    held_hours: float = Field(description="GPU-hours that somebody had; short gaps without readings are in it")
    coverage: float | None = Field(description="the part of the held time that has readings")
    idle_hours: float | None = Field(description="held, and utilisation below idle_below_percent; null where it is unknown")
    low_use_hours: float | None = Field(description="held and not idle, and utilisation below low_use_below_percent")
    duty_cycle: float | None = Field(description="mean utilisation while held, from 0 to 1")
    duty_coverage: float | None = Field(description="the part of the held time whose utilisation is known")
    free_hours: float = Field(description="GPU-hours that were read while nobody had the GPU: idle capacity")
    energy_kwh: float | None = Field(description="energy drawn, while held and while free")
    energy_from: Literal["counter", "power", "both"] | None = Field(description="what the energy is taken from")
    cost: float | None = Field(description="held hours and energy while held, by the table of rates; null without one")
    unpriced_hours: float = Field(description="held hours of models that have no rate")


class Usages(Listed[Usage]):
    """A page of usage, and what its figures mean. `start` and `end` are to the minute."""

    start: datetime
    end: datetime
    idle_below_percent: int
    low_use_below_percent: int
    currency: str | None


class UsageQuery(OnGpus, Spanned, Tabular):
    """Of which time, GPUs and owners, by what."""

    gpu: Many = some("only of this GPU: UUID or host:index")
    by: tuple[UsageGroup, ...] = Field(
        ("namespace",), max_length=11, description="a row for each of these; repeated, or with commas; namespace if not given"
    )
    sort: UsageSort = Field("-held_hours", description="what rows are ordered by; - puts the largest first")

    def use(self) -> Use:
        """The question to the store. Raises ProblemError."""
        lookups.check(host=self.host)
        now = datetime.now(UTC)
        end = min(self.end_time or now, now)
        start = self.begin(DEFAULT_SPAN, end)
        try:
            usage.to_the_minute(start) - usage.HOUR
        except OverflowError:
            name = "end_time" if self.start_time is None else "start_time"
            raise bad_parameter(name, f"{name} is too early; give a later one") from None
        settings = connections().settings
        return self.filter(
            Use,
            start=min(start, end),
            end=end,
            groups=self.by,
            namespace=access.within(self.namespace),
            gpu_ids=tuple(lookups.gpu(name, "gpu")["gpu_id"] for name in self.gpu),
            idle_below=settings.idle_below_percent,
            low_use_below=settings.low_use_below_percent,
            rates=settings.rates,
        )


@listing(blueprint, "/usage", Usages, UsageQuery, by_namespace=True, codes=("gpu_not_found", "host_not_found"))
def list_usage(query: UsageQuery, page: Page) -> Table:
    """Who used how much: hours, idle and low use, duty cycle, energy and cost, by owner, host or model.

    Without start_time the last 7 days before end_time, or before now, are summed up. Definitions stand in docs/FLEET.md.
    """
    asked = query.use()
    around: dict[str, Any] = {
        "start": usage.to_the_minute(asked.start),
        "end": usage.to_the_minute(asked.end),
        "idle_below_percent": asked.idle_below,
        "low_use_below_percent": asked.low_use_below,
        "currency": asked.rates.currency if asked.rates else None,
    }
    return Table(narrowed(Usage, asked.columns), usage.usage(asked), page, around=around)
