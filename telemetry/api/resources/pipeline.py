"""`/pipeline`: how the readings flow now: the queue, who stores, how fast and how late, each edge's window, and gaps.

Everybody who looks gets the same answer, made anew every few seconds. What brokers know is of those that answer, and the answer
says where one does not; it is null where none does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from flask import Blueprint
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from telemetry.api.core import brokers
from telemetry.api.core.brokers import All, Edge
from telemetry.api.core.connections import by_either, connections, database
from telemetry.api.core.queries import Query
from telemetry.api.core.shared import shared
from telemetry.api.operations import operation
from telemetry.progress import losses, reading
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

    `gaps` are the first of those older than TELEMETRY_GAP_ALERT_S, looked for every minute. `queue`, `windows` and `gaps` are
    of the brokers that answer: `complete` is false where one does not, and `brokers` says which.
    """

    queue: IngestQueue | None
    collectors: int
    rows_per_s: float
    clusters: list[ClusterRate]
    windows: list[EdgeWindow] | None
    gaps: list[MissingBytes] | None
    complete: bool
    brokers: dict[str, IngestQueue | None] | None


class _Missing(NamedTuple):
    """Gaps, and whether all brokers had a say in them."""

    gaps: Sequence[dict[str, Any]] | None
    is_whole: bool


@operation(blueprint, "/pipeline", PipelineNow, Query)
def show_pipeline(_: Query) -> dict[str, Any]:
    """How the readings flow now: queue, collectors, rows a second, latency by cluster, windows by edge, and gaps."""
    seen = shared().get("progress", LASTS_S, brokers.look)
    answered = seen.answered
    # What was found without a broker is no answer once it is back.
    missing = shared().get(("gaps", *answered), GAPS_LAST_S, lambda: _missing(seen)) if answered else _Missing(None, False)
    queues = {name: one and {"waiting": one.waiting, "unacked": one.unacked} for name, one in seen.by_name.items()}
    known = [queue for queue in queues.values() if queue]
    return {
        **shared().get("flow", LASTS_S, lambda: by_either(_flow)),
        "queue": {key: sum(queue[key] for queue in known) for key in IngestQueue.model_fields} if known else None,
        "windows": [_window(edge) for edge in seen.edges if edge.states] if known else None,
        "gaps": missing.gaps,
        "complete": seen.is_whole and missing.is_whole,
        "brokers": queues if connections().settings.broker_urls else None,
    }


def _flow() -> dict[str, Any]:
    flows = clusters.flow(database(), FLOW_S)
    return {
        "collectors": clusters.collectors(database()),
        "rows_per_s": round(sum(flow.rows_per_s for flow in flows), 1),
        "clusters": [asdict(flow) for flow in flows],
    }


def _window(edge: Edge) -> dict[str, Any]:
    each = edge.states.values()
    return {
        "edge": edge.name,
        "sources": len(each),
        "in_flight_batches": sum(len(state.window.flights) for state in each),
        "in_flight_bytes": sum(state.window.span for state in each),
        # A replay is never read to its end: what lies ahead of it is not behind.
        "lag_bytes": sum(state.lag_bytes for state in each if state.anchor_us is None),
        "lag_s": round(max(state.lag_s(edge.now_us) for state in each), 1),
        "window_ratio": round(max(state.window_ratio for state in each), 3),
    }


def _missing(seen: All) -> _Missing:
    """The oldest gaps; None where they cannot be looked for, such as in a ledger that takes too long."""
    # Asked for after the states: what is committed in between is in the ledger, and no gap.
    lost = {name: losses_ for name, losses_ in brokers.lost().items() if losses_ is not None and name in seen.answered}
    is_whole = len(lost) == len(seen.by_name)
    if not lost:
        return _Missing(None, is_whole)
    known = {edge for name in lost for edge in seen.answered[name].heard}
    held = reading.committed({edge.name: edge.states for edge in seen.edges if edge.name in known})
    given_up = losses.given_up(loss for of_broker in lost.values() for loss in of_broker)
    alert_s = connections().settings.gap_alert_s
    try:
        all_gaps = by_either(lambda: gaps.gaps(database(), alert_s, held, given_up))
    except SQLAlchemyError:
        return _Missing(None, is_whole)
    # What an edge has lost that only a silent broker knows is not known, and would pass for a gap.
    old = [gap for gap in all_gaps if gap.is_old and (is_whole or gap.edge in known)]
    return _Missing([{name: getattr(gap, name) for name in MissingBytes.model_fields} for gap in old[:MAX_GAPS]], is_whole)
