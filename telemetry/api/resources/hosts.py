"""`/hosts`: the machines that GPUs were seen on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.connections import connections
from telemetry.api.core.parameters import Step
from telemetry.api.core.queries import Query, Tabular
from telemetry.api.operations import listing, operation
from telemetry.store.read import health, inventory
from telemetry.store.read.health import State

blueprint = Blueprint("hosts", __name__)


class Host(BaseModel):
    """A host, with how many GPUs of which models (separated by commas), and when the first reading of one was stored.

    `last_seen` is the end of the minute of the last reading of one, at most now; `silent_for_s` how many seconds ago that was.
    """

    name: str
    gpus: int
    models: str | None
    first_seen: datetime
    last_seen: datetime | None
    silent_for_s: float | None


class HostQuery(Tabular):
    """Which hosts."""

    silent_for: Step | None = Field(None, description="only those without a reading of any GPU for so long, such as 10m")
    state: tuple[State, ...] = Field((), max_length=5, description="only those in this state of health; may be repeated")


@listing(blueprint, "/hosts", Listed[Host], HostQuery)
def list_hosts(query: HostQuery, page: Page) -> Table:
    """Hosts by name."""
    some = health.HealthFilter(states=query.state)
    names = health.host_names(connections().settings.health_rules, some) if query.state else None
    return Table(Host, inventory.hosts(silent_for=query.silent_for, names=names), page)


@operation(blueprint, "/hosts/<path:host>", Host, Query, codes=("host_not_found",))
def show_host(_: Query, host: str) -> dict[str, Any]:
    """One host by its name."""
    return dict(lookups.row(inventory.hosts(host), host, "host_not_found"))
