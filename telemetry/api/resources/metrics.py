"""`/metrics`: what is measured."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers.tables import Listed, Page, Table
from telemetry.api.core.connections import database
from telemetry.api.core.parameters import Query, Tabular, is_name
from telemetry.api.core.problems import ProblemError
from telemetry.api.operations import operation
from telemetry.store.read import inventory

blueprint = Blueprint("metrics", __name__)


class Metric(BaseModel):
    """A metric, and how many series there are of it. `kind` is gauge or counter."""

    name: str
    unit: str | None
    description: str | None
    kind: str
    series: int


@operation(blueprint, "/metrics", Listed[Metric], Tabular, table=True)
def list_metrics(query: Tabular) -> Table:
    """Metrics by name."""
    page = Page.of(query)
    return Table(Metric, lambda most: inventory.metrics(None, most, page.offset), page, query.format)


@operation(blueprint, "/metrics/<path:metric>", Metric, Query, codes=("metric_not_found",))
def show_metric(_: Query, metric: str) -> dict[str, Any]:
    """One metric by its name."""
    row = database().execute(inventory.metrics(metric, 1, 0)).first() if is_name(metric) else None
    if row is None:
        raise ProblemError("metric_not_found", "no reading had this metric; /api/v1/metrics lists those there are")
    return row._asdict()
