"""`/edges`: the sites that stream."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers.tables import Listed, Page, Table
from telemetry.api.core.parameters import Tabular
from telemetry.api.operations import operation
from telemetry.store.read import ingest

blueprint = Blueprint("edges", __name__)


class Edge(BaseModel):
    """An edge: its name is cluster/node."""

    name: str
    sources: int
    first_seen: datetime
    last_commit: datetime | None


@operation(blueprint, "/edges", Listed[Edge], Tabular, table=True)
def list_edges(query: Tabular) -> Table:
    """Edges by name, with how many sources each has and when something of it was committed last."""
    page = Page.of(query)
    return Table(Edge, lambda most: ingest.edges(most, page.offset), page, query.format)
