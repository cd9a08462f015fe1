"""`/disputes`: of which GPUs two tell different owners."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.parameters import Step
from telemetry.api.core.queries import Many, Spanned, Tabular, some
from telemetry.api.operations import listing
from telemetry.store.read import disputes

LAST = timedelta(days=1)
# At a hand-over both owners have the minute, and an exporter may be a minute late to see it.
HAND_OVER = timedelta(minutes=3)

blueprint = Blueprint("disputes", __name__)


class Dispute(BaseModel):
    """A time in which a GPU, or a MIG `instance` of it, has two owners that contradict each other; to the minute."""

    gpu: str
    host: str | None
    index: int | None
    model: str | None
    instance: str | None
    start: datetime
    end: datetime
    told_by: str | None = Field(description="who tells of `owner`: slurm, kubernetes; null for what the GPU was read by")
    owner: dict[str, str]
    other_told_by: str | None = Field(description="who tells of `other_owner`")
    other_owner: dict[str, str]


class DisputeQuery(Spanned, Tabular):
    """Of which time and GPUs; of the last day, unless a time is given."""

    gpu: Many = some("only of this GPU: UUID or host:index")
    at_least: Step | None = Field(None, description="only what lasts so long: shorter is a hand-over; 3m if not given")


@listing(blueprint, "/disputes", Listed[Dispute], DisputeQuery, codes=("gpu_not_found",))
def list_disputes(query: DisputeQuery, page: Page) -> Table:
    """Whose GPU is told in two ways, the latest first: by the labels of readings, by Slurm, by Kubernetes."""
    end = query.end_time or datetime.now(UTC)
    gpus = [lookups.gpu(name, "gpu")["gpu_id"] for name in query.gpu]
    rows = disputes.disputes(query.begin(LAST, end), end, query.at_least or HAND_OVER, gpus)
    return Table(Dispute, rows, page)
