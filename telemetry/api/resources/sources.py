"""`/sources`: the files that were streamed."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.tables import Listed, Page, Table
from telemetry.api.core.parameters import Tabular, Text
from telemetry.api.operations import operation
from telemetry.store.read import ingest

blueprint = Blueprint("sources", __name__)


class Source(BaseModel):
    """A file as an edge sees it, with what the ledger has of it: rows of each class, and the last byte committed."""

    id: int
    edge: str
    path: str
    fingerprint: str
    format: str
    first_seen: datetime
    batches: int
    rows: int
    stored: int
    duplicate: int
    conflict: int
    blank: int
    quarantined: int
    dead_batches: int
    committed_bytes: int
    last_commit: datetime | None


class SourceQuery(Tabular):
    """Which sources."""

    edge: Text | None = Field(None, description="of this edge alone")
    path: Text | None = Field(None, description="at this path alone")


@operation(blueprint, "/sources", Listed[Source], SourceQuery, table=True)
def list_sources(query: SourceQuery) -> Table:
    """Sources in the order they appeared."""
    page = Page.of(query)
    return Table(Source, lambda most: ingest.sources(query.edge, query.path, most, page.offset), page, query.format)
