"""`/metrics`: what is measured."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.queries import Query, Tabular
from telemetry.api.operations import listing, operation
from telemetry.store.read import inventory

blueprint = Blueprint("metrics", __name__)


class Metric(BaseModel):
    """A metric, and how many series it has. `kind` is gauge or counter."""

    name: str
    unit: str | None
    description: str | None
    kind: str
    series: int


@listing(blueprint, "/metrics", Listed[Metric], Tabular)
def list_metrics(_: Tabular, page: Page) -> Table:
    """Metrics by name."""
    return Table(Metric, inventory.metrics(), page)


@operation(blueprint, "/metrics/<path:metric>", Metric, Query, codes=("metric_not_found",))
def show_metric(_: Query, metric: str) -> dict[str, Any]:
    """One metric by its name."""
    return dict(lookups.row(inventory.metrics(metric), metric, "metric_not_found"))
