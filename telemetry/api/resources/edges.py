"""`/edges`: the sites that stream."""

from __future__ import annotations

from contextlib import suppress
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
    overdue, 0 while it is not. Both are null of an edge that does not stream for good, and while its broker does not answer.
    An edge that streams and of which nothing was stored yet has no source, no `first_seen` and no `last_commit`.
    """

    name: str
    sources: int
    first_seen: datetime | None
    last_commit: datetime | None
    last_seen: datetime | None
    silent_s: float | None


@listing(blueprint, "/edges", Listed[Edge], Tabular)
def list_edges(_: Tabular, page: Page) -> Table:
    """Edges by name, with how many sources each has, when something of it was committed last, and whether it is silent."""
    return Table(Edge, ingest.edges(_signs()), page)


def _signs() -> list[EdgeSign]:
    """The last sign of each edge. The rest of the answer needs no broker, so one that is away is left out."""
    keys = Keys(connections().settings.key_prefix)
    youngest: dict[str, tuple[float, EdgeSign]] = {}
    for client in connections().brokers.values():
        with suppress(redis.RedisError, OSError):
            now_us = broker.now_us(client)
            for edge, sign in signs(client, keys).items():
                age_s = sign.age_s(now_us)
                if edge not in youngest or age_s < youngest[edge][0]:
                    youngest[edge] = age_s, EdgeSign(edge, _time(sign.seen_ms), sign.silent_s(now_us))
    return [sign for _, sign in youngest.values()]


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
