"""`/live`: the latest readings and changes of health, pushed as server-sent events.

Each stream looks every few seconds and holds no connection in between. It occupies a thread of the server for as long as
it lasts, so a process carries few, and each ends after an hour: a browser's EventSource comes again by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any

import orjson
from flask import Blueprint, Response, current_app
from pydantic import Field
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from telemetry.api import fleet, formats
from telemetry.api.connections import connections
from telemetry.api.errors import ProblemError
from telemetry.api.fleet import Latest, SeriesQuery
from telemetry.api.health import Probe, look
from telemetry.api.operations import operation
from telemetry.api.parameters import Whole
from telemetry.store import history

STREAMS = 4
LOOK_S = 2.0
LASTS_S = 3600
# A series more than this is left out: a page is no place for it, and every look asks for each.
MAX_SERIES = 2000

Seen = dict[int, Any]

blueprint = Blueprint("live", __name__)
streams = BoundedSemaphore(STREAMS)


class LiveQuery(SeriesQuery):
    """Which series, for how long."""

    seconds: Whole = Field(LASTS_S, ge=1, le=LASTS_S, description="end the stream after so many seconds")


@operation(blueprint, "/live", Latest, LiveQuery, media="text/event-stream", codes=("gpu_not_found", "too_many_streams"))
def show_live_readings(query: LiveQuery) -> Response:
    """Server-sent events: `reading` with the latest of each series, then whatever is newer; `health` when it changes."""
    some = fleet.of_series(query)
    if not streams.acquire(blocking=False):
        raise ProblemError("too_many_streams", f"this process carries {STREAMS} live streams already; try again later")
    events = _events(connections().engine, some, current_app.extensions["probes"], monotonic() + query.seconds)
    response = Response(events, mimetype="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    # Also when nobody ever asks for the first event.
    response.call_on_close(streams.release)
    return response


def _events(engine: Engine, some: history.Filter, probes: Mapping[str, Probe], until: float) -> Iterator[bytes]:
    seen: Seen = {}
    before: dict[str, Any] = {}
    while True:
        health = look(probes)
        if health != before:
            yield _event("health", health)
            before = health
        # While the database is away there are no readings; health says so.
        with suppress(SQLAlchemyError):
            yield b"".join(_event("reading", row) for row in _newer(engine, some, seen))
        # A comment keeps proxies from closing a silent stream, and tells us of a reader who has gone.
        yield b":\n\n"
        if monotonic() + LOOK_S > until:
            return
        sleep(LOOK_S)


def _newer(engine: Engine, some: history.Filter, seen: Seen) -> list[dict[str, Any]]:
    """The latest reading of each series that has another than before; notes them as seen."""
    with engine.connect() as connection:
        rows = connection.execute(history.latest(some, MAX_SERIES, 0)).all()
    fresh = [row for row in rows if seen.get(row.series) != row.timestamp]
    seen.update({row.series: row.timestamp for row in fresh})
    return [
        {name: getattr(row, name) for name in Latest.model_fields} | {"labels": orjson.Fragment(row.labels)} for row in fresh
    ]


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), formats.json(data))
