"""`/events`: what happened to GPUs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.connections import connections
from telemetry.api.core.parameters import Text
from telemetry.api.core.queries import Followed, Spanned
from telemetry.api.guards import access
from telemetry.api.operations import listing
from telemetry.store.read import events
from telemetry.store.read.events import EventKind, What

ENDS = {"at": cursors.moment, "id": cursors.name}
LAST = timedelta(days=1)

blueprint = Blueprint("events", __name__)


class Event(BaseModel):
    """Something that happened to a GPU: a finding that begins or ends, a state that changes, an owner that comes or goes.

    `id` is the same whenever it is asked for. `owner` has the labels of who had the GPU then. An XID is the last one that the
    driver reported: one that comes twice, or that another followed before it was read, is no event.
    """

    id: str
    at: datetime
    kind: EventKind
    what: What
    says: str
    rule: str | None
    value: float | None
    action: str
    gpu: str
    host: str | None
    index: int | None
    model: str | None
    owner: dict[str, str]


class EventQuery(Spanned, Followed):
    """Which events; those of the last day, unless a time is given."""

    gpu: Text | None = Field(None, description="only of this GPU: UUID or host:index")
    host: Text | None = Field(None, description="only of GPUs on this host")
    kind: tuple[EventKind, ...] = Field((), max_length=20, description="only of this kind; may be repeated")


@listing(blueprint, "/events", Continued[Event], EventQuery, by_namespace=True, codes=("gpu_not_found", "host_not_found"))
def list_events(query: EventQuery, page: Page) -> Table:
    """What happened, the latest first: of the last day before end_time, unless start_time is given."""
    lookups.check(host=[query.host] if query.host else ())
    number = None if query.gpu is None else lookups.gpu(query.gpu, "gpu")["gpu_id"]
    end = query.end_time or datetime.now(UTC)
    some = events.EventFilter(query.begin(LAST, end), end, number, query.host, query.kind, access.namespaces())
    at, name = page.after(ENDS) or (None, None)
    after = None if at is None or name is None else (at, name)
    return Table(Event, events.events(connections().settings.health_rules, some, after), page, ends=ENDS)
