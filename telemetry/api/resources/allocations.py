"""`/gpus/{gpu}/allocations`: who had a GPU, and when."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.parameters import Step
from telemetry.api.core.queries import Spanned, Tabular
from telemetry.api.guards import access
from telemetry.api.operations import listing
from telemetry.store.read import allocations

# Readings that are further apart leave the GPU unheld between them: as long as what is now may be old.
BRIDGE = timedelta(minutes=10)

blueprint = Blueprint("allocations", __name__)


class Allocation(BaseModel):
    """A stretch of time in which an owner had a GPU, or a MIG `instance` of it; to the minute.

    `held_s` is its length, `read_s` the time of it that has readings: the rest are gaps that were bridged. `owner` has all
    labels that say who it is.
    """

    start: datetime
    end: datetime
    held_s: float
    read_s: float
    instance: str | None
    namespace: str | None
    pod: str | None
    container: str | None
    job: str | None
    user: str | None
    account: str | None
    owner: dict[str, str]


class AllocationQuery(Spanned, Tabular):
    """Of which time, and what counts as a gap."""

    bridge: Step | None = Field(
        None, description="the longest gap without readings that is held all the same; 10m if not given"
    )


@listing(
    blueprint,
    "/gpus/<path:gpu>/allocations",
    Listed[Allocation],
    AllocationQuery,
    by_namespace=True,
    codes=("gpu_not_found",),
)
def list_allocations(query: AllocationQuery, page: Page, gpu: str) -> Table:
    """Who had one GPU, the latest first. Owners that share it overlap. Time before migration 0009 is not there."""
    row = lookups.gpu(gpu)
    rows = allocations.of_gpu(row["gpu_id"], query.start_time, query.end_time, query.bridge or BRIDGE, access.namespaces())
    return Table(Allocation, rows, page)
