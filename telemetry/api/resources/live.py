"""`/live`: the latest readings and changes of health, pushed as server-sent events.

Each stream looks every few seconds and holds no connection in between. It occupies a thread of the server for as long as
it lasts, so a process carries few, and each ends after an hour: a browser's EventSource comes again by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any

import orjson
from flask import Blueprint, Response, current_app, g
from pydantic import Field
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from telemetry.api.answers import encodings, streams
from telemetry.api.core.connections import connections, database, give_back
from telemetry.api.core.parameters import Whole
from telemetry.api.core.problems import ProblemError
from telemetry.api.operations import operation
from telemetry.api.resources import fleet
from telemetry.api.resources.fleet import Latest, SeriesQuery
from telemetry.api.resources.health import look
from telemetry.store import apikeys
from telemetry.store.read import history

LOOK_S = 2.0
# How often a stream asks which series there are, and whether its key is still good.
REFRESH_S = 30.0
LASTS_S = 3600
# Each look asks for each series.
MAX_SERIES = 2000
# How long a browser waits before it comes again.
RETRY_MS = 2000
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)

blueprint = Blueprint("live", __name__)


class LiveQuery(SeriesQuery):
    """Which series, for how long."""

    seconds: Whole = Field(LASTS_S, ge=1, le=LASTS_S, description="end the stream after so many seconds")


@dataclass
class Watch:
    """What a stream follows: its series, by id, and when each was seen last."""

    some: history.Filter
    key: str | None
    known: dict[int, Row[Any]] = field(default_factory=dict)
    seen: dict[int, datetime] = field(default_factory=dict)

    def refresh(self, connection: Connection) -> bool:
        """Ask for the series anew. False if the stream must end: its key is good no longer, or there are too many series."""
        if self.key is not None and not apikeys.is_good(connection, self.key):
            return False
        found = connection.execute(history.series(self.some, MAX_SERIES + 1)).all()
        self.known = {row.id: row for row in found}
        self.seen = {row.id: self.seen.get(row.id, LONG_AGO) for row in found}
        return len(found) <= MAX_SERIES

    def newer(self, connection: Connection) -> Iterator[bytes]:
        """The latest reading of each series that has another than before, as events."""
        rows = {row.id: row for row in connection.execute(history.newer(self.seen)).all()}
        for series in self.known.values():
            if (last := rows.get(series.id)) is not None:
                self.seen[series.id] = last.timestamp
                yield _event("reading", _reading(series, last), f"{series.id}-{last.timestamp.timestamp():.6f}")


@operation(
    blueprint,
    "/live",
    Latest,
    LiveQuery,
    media=("text/event-stream",),
    codes=("gpu_not_found", "too_many_streams", "too_many_series"),
)
def show_live_readings(query: LiveQuery) -> Response:
    """Server-sent events: `reading` with the latest of each series, then whatever is newer; `health` when it changes."""
    watch = Watch(fleet.of_series(query), g.get("key"))
    if not watch.refresh(database()):
        mend = f"these are more than {MAX_SERIES} series; name a gpu, host, model, namespace, pod or metric"
        raise ProblemError("too_many_series", mend)
    give_back()
    end = streams.begin()
    events = _events(connections().engine, watch, monotonic() + query.seconds, current_app.extensions["probes"])
    response = Response(events, mimetype="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    # Also when nobody ever asks for the first event.
    response.call_on_close(end)
    return response


def _events(engine: Engine, watch: Watch, until: float, probes: Any) -> Iterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MS
    before: dict[str, Any] = {}
    refreshed = monotonic()
    while True:
        health = look(probes)
        if health != before:
            yield _event("health", health)
            before = health
        # While the database is away there are no readings; health says so.
        try:
            with engine.connect() as connection:
                if monotonic() - refreshed > REFRESH_S:
                    if not watch.refresh(connection):
                        # Who comes again is told why.
                        return
                    refreshed = monotonic()
                events = list(watch.newer(connection))
        except SQLAlchemyError:
            events = []
        # A comment keeps proxies from closing a silent stream, and tells us of a reader who has gone.
        yield b"".join([*events, b":\n\n"])
        if monotonic() + LOOK_S > until:
            return
        sleep(LOOK_S)


def _reading(series: Row[Any], last: Row[Any]) -> dict[str, Any]:
    told = {**series._mapping, "timestamp": last.timestamp, "value": last.value, "labels": orjson.Fragment(series.labels)}  # noqa: SLF001
    return {name: told[name] for name in Latest.model_fields}


def _event(name: str, data: Any, event_id: str | None = None) -> bytes:
    told = f"id: {event_id}\n" if event_id else ""
    return b"%sevent: %s\ndata: %s\n\n" % (told.encode(), name.encode(), encodings.json(data))
