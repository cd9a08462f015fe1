"""`/hosts`: the machines that GPUs were seen on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers.tables import Listed, Page, Table
from telemetry.api.core.connections import database
from telemetry.api.core.parameters import Query, Tabular, is_name
from telemetry.api.core.problems import ProblemError
from telemetry.api.operations import operation
from telemetry.store.read import inventory

blueprint = Blueprint("hosts", __name__)


class Host(BaseModel):
    """A host with how many GPUs of which models (separated by commas)."""

    name: str
    gpus: int
    models: str | None
    first_seen: datetime


@operation(blueprint, "/hosts", Listed[Host], Tabular, table=True)
def list_hosts(query: Tabular) -> Table:
    """Hosts by name."""
    page = Page.of(query)
    return Table(Host, lambda most: inventory.hosts(None, most, page.offset), page, query.format)


@operation(blueprint, "/hosts/<path:host>", Host, Query, codes=("host_not_found",))
def show_host(_: Query, host: str) -> dict[str, Any]:
    """One host by its name."""
    row = database().execute(inventory.hosts(host, 1, 0)).first() if is_name(host) else None
    if row is None:
        raise ProblemError("host_not_found", "no GPU was seen on this host; /api/v1/hosts lists those there are")
    return row._asdict()
