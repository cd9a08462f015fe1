"""`/pipeline`: how the readings flow now: the queue, who stores, how fast and how late, each edge's window, and gaps.

Everybody who looks gets the same answer, made anew every few seconds. What the broker knows is null while it does not answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import redis
from flask import Blueprint
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from telemetry import broker
from telemetry.api.core.connections import connections, database
from telemetry.api.core.queries import Query
from telemetry.api.core.shared import shared
from telemetry.api.operations import operation
from telemetry.progress import losses, reading
from telemetry.progress.keys import Keys
from telemetry.progress.state import SourceState
from telemetry.store.read import clusters, gaps

FLOW_S = 60.0
LASTS_S = 2.0
# The audit of gaps reads the whole ledger.
GAPS_LAST_S = 60.0
MAX_GAPS = 100

blueprint = Blueprint("pipeline", __name__)


class IngestQueue(BaseModel):
    """Messages that wait for a collector, and those that collectors have and did not acknowledge yet."""

    waiting: int
    unacked: int


class ClusterRate(BaseModel):
    """What was committed of a cluster in the last minute; its latency is from a batch's first publication to its commit."""

    cluster: str
    batches: int
    rows_per_s: float
    latency_p50_s: float
    latency_p99_s: float


class EdgeWindow(BaseModel):
    """The sources of an edge as its streamers see them: what is published and not acknowledged, and what is not committed.

    `window_ratio` is how full the fullest window is: from 1 on nothing new of that source is published.
    """

    edge: str
    sources: int
    in_flight_batches: int
    in_flight_bytes: int
    lag_bytes: int
    lag_s: float
    window_ratio: float


class MissingBytes(BaseModel):
    """Bytes [start, end) of a source that should be in the ledger and are not, though bytes after them were committed."""

    edge: str
    path: str
    start: int
    end: int
    since: datetime


class PipelineNow(BaseModel):
    """The pipeline now. `collectors` are the sessions of collectors; a process that has stored nothing yet has none.

    `gaps` are the first of those older than TELEMETRY_GAP_ALERT_S, looked for every minute.
    """

    queue: IngestQueue | None
    collectors: int
    rows_per_s: float
    clusters: list[ClusterRate]
    windows: list[EdgeWindow] | None
    gaps: list[MissingBytes] | None


@operation(blueprint, "/pipeline", PipelineNow, Query)
def show_pipeline(_: Query) -> dict[str, Any]:
    """How the readings flow now: queue, collectors, rows a second, latency by cluster, windows by edge, and gaps."""
    progress = shared().get("progress", LASTS_S, _progress)
    return {
        **shared().get("flow", LASTS_S, _flow),
        "queue": progress and progress["queue"],
        "windows": progress and progress["windows"],
        "gaps": progress and shared().get("gaps", GAPS_LAST_S, lambda: _gaps(progress["states"])),
    }


def _flow() -> dict[str, Any]:
    flows = clusters.flow(database(), FLOW_S)
    return {
        "collectors": clusters.collectors(database()),
        "rows_per_s": round(sum(flow.rows_per_s for flow in flows), 1),
        "clusters": [asdict(flow) for flow in flows],
    }


def _progress() -> dict[str, Any] | None:
    client, settings = connections().broker, connections().settings
    keys = Keys(settings.key_prefix)
    try:
        now_us = broker.now_us(client)
        states = reading.sources_by_edge(client, keys)
        waiting, unacked = client.llen(settings.ingest_queue), client.hlen(keys.unacked("central"))
    except (redis.RedisError, OSError):
        return None
    windows = [_window(edge, of_edge, now_us) for edge, of_edge in states.items() if of_edge]
    return {"queue": {"waiting": waiting, "unacked": unacked}, "windows": windows, "states": states}


def _window(edge: str, states: Mapping[str, SourceState], now_us: int) -> dict[str, Any]:
    each = states.values()
    return {
        "edge": edge,
        "sources": len(states),
        "in_flight_batches": sum(len(state.window.flights) for state in each),
        "in_flight_bytes": sum(state.window.span for state in each),
        # A replay is never read to its end: what lies ahead of it is not behind.
        "lag_bytes": sum(state.lag_bytes for state in each if state.anchor_us is None),
        "lag_s": round(max(state.lag_s(now_us) for state in each), 1),
        "window_ratio": round(max(state.window_ratio for state in each), 3),
    }


def _gaps(states: Mapping[str, Mapping[str, SourceState]]) -> list[dict[str, Any]] | None:
    """The oldest gaps; None where they cannot be looked for, such as in a ledger that takes too long."""
    settings = connections().settings
    try:
        # Asked for after the states: what is committed in between is in the ledger, and no gap.
        given_up = losses.given_up(losses.of_all_edges(connections().broker, Keys(settings.key_prefix)))
        missing = gaps.gaps(database(), settings.gap_alert_s, reading.committed(states), given_up)
    except (redis.RedisError, OSError, SQLAlchemyError):
        return None
    old = [gap for gap in missing if gap.is_old]
    return [{name: getattr(gap, name) for name in MissingBytes.model_fields} for gap in old[:MAX_GAPS]]
