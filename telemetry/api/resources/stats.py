"""`/stats`: how much there is of everything."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.core.connections import database
from telemetry.api.core.queries import Query
from telemetry.api.operations import operation
from telemetry.store.read import totals

blueprint = Blueprint("stats", __name__)


class BatchCounts(BaseModel):
    """Batches in the ledger, by status."""

    stored: int
    dead: int


class Stats(BaseModel):
    """Counts, and the times of the first and the last sample. If `samples_exact` is false, `samples` is an estimate."""

    gpus: int
    hosts: int
    metrics: int
    series: int
    samples: int
    samples_exact: bool
    earliest: datetime | None
    latest: datetime | None
    batches: BatchCounts
    quarantined: int
    dead_letters: int


@operation(blueprint, "/stats", Stats, Query)
def show_stats(_: Query) -> dict[str, Any]:
    """How much there is of everything, and from when to when."""
    return totals.stats(database())
