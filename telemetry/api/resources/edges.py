"""`/edges`: the sites that stream."""

from __future__ import annotations

from datetime import UTC, datetime

import redis
from flask import Blueprint
from pydantic import BaseModel

from telemetry import broker
from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core.connections import connections
from telemetry.api.core.queries import Tabular
from telemetry.api.operations import listing
from telemetry.progress.keys import Keys
from telemetry.progress.signs import signs
from telemetry.store.read import ingest
from telemetry.store.read.ingest import EdgeSign

blueprint = Blueprint("edges", __name__)


class Edge(BaseModel):
    """An edge. Its name is cluster/node.

    `last_seen` is when its streamer said last that it is at work, and `silent_s` for how many seconds the next such sign is
    overdue, 0 while it is not. Both are null of an edge that does not stream for good, and while the broker does not answer.
    """

    name: str
    sources: int
    first_seen: datetime
    last_commit: datetime | None
    last_seen: datetime | None
    silent_s: float | None


@listing(blueprint, "/edges", Listed[Edge], Tabular)
def list_edges(_: Tabular, page: Page) -> Table:
    """Edges by name, with how many sources each has, when something of it was committed last, and whether it is silent."""
    return Table(Edge, ingest.edges(_signs()), page)


def _signs() -> list[EdgeSign]:
    client, keys = connections().hasty_broker, Keys(connections().settings.key_prefix)
    try:
        now_us = broker.now_us(client)
        return [EdgeSign(edge, _time(sign.seen_ms), sign.silent_s(now_us)) for edge, sign in signs(client, keys).items()]
    except (redis.RedisError, OSError):
        # The rest of the answer needs no broker.
        return []


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
