"""`/stats`: how much there is of everything."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from telemetry.api import parameters
from telemetry.api.connections import connections
from telemetry.api.formatting import instant
from telemetry.store import queries

blueprint = Blueprint("stats", __name__)


@blueprint.get("/stats")
def stats() -> dict[str, Any]:
    """Counts, and the first and last time of a sample. `samples_exact` is false where the planner's estimate is told."""
    parameters.only()
    with connections().engine.connect() as connection:
        found = queries.stats(connection)
    return found | {"earliest": instant(found["earliest"]), "latest": instant(found["latest"])}
