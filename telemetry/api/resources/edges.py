"""`/edges`: the sites that stream."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core.queries import Tabular
from telemetry.api.operations import listing
from telemetry.store.read import ingest

blueprint = Blueprint("edges", __name__)


class Edge(BaseModel):
    """An edge. Its name is cluster/node."""

    name: str
    sources: int
    first_seen: datetime
    last_commit: datetime | None


@listing(blueprint, "/edges", Listed[Edge], Tabular)
def list_edges(_: Tabular, page: Page) -> Table:
    """Edges by name, with how many sources each has, and when something of it was committed last."""
    return Table(Edge, ingest.edges(), page)
