"""`/sources`: the files that were streamed."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core.parameters import Text
from telemetry.api.core.queries import Tabular
from telemetry.api.operations import listing
from telemetry.store.read import ingest

blueprint = Blueprint("sources", __name__)


class Source(BaseModel):
    """A file as an edge sees it, with what the ledger has of it: rows of each class, and the end of the last byte committed."""

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
    expired: int
    dead_batches: int
    committed_bytes: int
    last_commit: datetime | None


class SourceQuery(Tabular):
    """Which sources."""

    edge: Text | None = Field(None, description="only those of this edge")
    path: Text | None = Field(None, description="only those at this path")


@listing(blueprint, "/sources", Listed[Source], SourceQuery)
def list_sources(query: SourceQuery, page: Page) -> Table:
    """Sources in the order they appeared."""
    return Table(Source, ingest.sources(query.filter(ingest.SourceFilter)), page)
