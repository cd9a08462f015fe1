"""`/hosts`: the machines that GPUs were seen on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.queries import Query, Tabular
from telemetry.api.operations import listing, operation
from telemetry.store.read import inventory

blueprint = Blueprint("hosts", __name__)


class Host(BaseModel):
    """A host, with how many GPUs of which models (separated by commas), and when the first reading of one was stored."""

    name: str
    gpus: int
    models: str | None
    first_seen: datetime


@listing(blueprint, "/hosts", Listed[Host], Tabular)
def list_hosts(_: Tabular, page: Page) -> Table:
    """Hosts by name."""
    return Table(Host, inventory.hosts(), page)


@operation(blueprint, "/hosts/<path:host>", Host, Query, codes=("host_not_found",))
def show_host(_: Query, host: str) -> dict[str, Any]:
    """One host by its name."""
    return dict(lookups.row(inventory.hosts(host), host, "host_not_found"))
