"""`/gpus`: the GPUs, and what is measured of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.columns import row_of
from telemetry.api.answers.pages import Counted, Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.connections import connections
from telemetry.api.core.parameters import Instant, Step
from telemetry.api.core.queries import Many, OnGpus, Query, Tabular, some
from telemetry.api.operations import listing, operation
from telemetry.store.read import health, inventory
from telemetry.store.read.health import State

blueprint = Blueprint("gpus", __name__)


class Gpu(row_of(inventory.gpu_columns())):  # type: ignore[misc]
    """A GPU. `id` is its UUID, or host:index where a file had none. `first_seen` is when its first reading was stored.

    `last_seen` is the end of the minute of its last reading, at most now, and `silent_for_s` how many seconds ago that was.
    """

    last_seen: datetime | None
    silent_for_s: float | None


class Gpus(Counted[Gpu]):
    """A page of GPUs. One that was not read for `silent_after_s` seconds is silent, as the rules of health say."""

    silent_after_s: float


class GpuMetric(BaseModel):
    """A metric of one GPU, with the times of its first and last reading."""

    name: str
    unit: str | None
    description: str | None
    kind: str
    series: int
    first_reading: datetime | None
    last_reading: datetime | None


class GpuQuery(OnGpus, Tabular):
    """Which GPUs, in which order."""

    driver: Many = some("only those with this driver version")
    seen_since: Instant | None = Field(None, description="only those with a reading since then: RFC 3339, or relative as -1h")
    silent_for: Step | None = Field(None, description="only those without a reading for so long, such as 10m")
    state: tuple[State, ...] = Field((), max_length=5, description="only those in this state of health; may be repeated")
    sort: inventory.GpuSort = Field("host", description="what they are ordered by; - reverses the order")


@listing(blueprint, "/gpus", Gpus, GpuQuery, codes=("host_not_found",))
def list_gpus(query: GpuQuery, page: Page) -> Table:
    """GPUs, by host and index unless sorted otherwise."""
    lookups.check(host=query.host)
    rules = connections().settings.health_rules
    chosen = query.filter(inventory.GpuFilter, numbers=health.numbers(rules, query.state) if query.state else None)
    around = {"silent_after_s": rules.silent_after_s}
    return Table(Gpu, inventory.gpus(chosen, query.sort), page, total=inventory.gpus_counted(chosen), around=around)


@operation(blueprint, "/gpus/<path:gpu>", Gpu, Query, codes=("gpu_not_found",))
def show_gpu(_: Query, gpu: str) -> dict[str, Any]:
    """One GPU, by its UUID or by host:index."""
    row = lookups.row(inventory.gpu_shown(gpu), gpu, "gpu_not_found")
    return {name: row[name] for name in Gpu.model_fields}


@listing(blueprint, "/gpus/<path:gpu>/metrics", Listed[GpuMetric], Tabular, codes=("gpu_not_found",))
def list_gpu_metrics(_: Tabular, page: Page, gpu: str) -> Table:
    """The metrics of one GPU, by name."""
    return Table(GpuMetric, inventory.gpu_metrics(lookups.gpu(gpu)["gpu_id"]), page)
