"""A live stream: the latest reading of each series and every change of health, as server-sent events.

It looks every few seconds and holds no database connection in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from telemetry.api.answers import encodings
from telemetry.api.core.probes import Probes
from telemetry.store import apikeys
from telemetry.store.read.history import latest
from telemetry.store.read.history.selection import SeriesFilter

LOOK_S = 2.0
# How often a stream asks which series there are, and whether its key is still valid.
REFRESH_S = 30.0
# Each look asks for each series.
MAX_SERIES = 2000
# How long a browser waits before it connects again.
RETRY_MS = 2000


@dataclass
class Watch:
    """What a stream follows: some series, from readings of a `max_age` on, by events with `names` in them.

    It is for the holder of a key; None: the API is open.
    """

    some: SeriesFilter
    max_age: timedelta
    key: str | None
    names: Sequence[str]
    # By the number of the series: what a reading of it says, and when it was read last.
    series: dict[int, RowMapping] = field(default_factory=dict)
    seen: dict[int, datetime] = field(default_factory=dict)

    def may_go_on(self, primary: Connection) -> bool:
        """Whether the key is still valid, as the primary says: a replica learns later of one that was revoked."""
        return self.key is None or apikeys.is_valid(primary, self.key)

    def refresh(self, connection: Connection) -> bool:
        """Ask for the series anew. False if there are too many."""
        rows = connection.execute(latest.series(self.some, self.max_age).limit(MAX_SERIES + 1)).mappings().all()
        self.series = {row["series"]: row for row in rows}
        since = datetime.now(UTC) - self.max_age
        self.seen = {number: self.seen.get(number, since) for number in self.series}
        return len(rows) <= MAX_SERIES

    def newer(self, connection: Connection) -> Iterator[bytes]:
        """An event for the latest reading of each series that has a newer one than it had."""
        readings = {row.series: row for row in connection.execute(latest.newer(self.seen, self.some.owners))}
        for number, series in self.series.items():
            if (reading := readings.get(number)) is not None:
                self.seen[number] = reading.timestamp
                texts = {name: orjson.Fragment(getattr(reading, name)) for name in ("labels", "owner")}
                document = {**series, "timestamp": reading.timestamp, "value": reading.value, **texts}
                data = {name: document[name] for name in self.names}
                yield event("reading", data, f"{number}-{reading.timestamp.timestamp():.6f}")


def events(primary: Engine, engine: Callable[[], Engine], watch: Watch, probes: Probes, lasts_s: float) -> Iterator[bytes]:
    """The events of a watch that was refreshed just now, until it must end or `lasts_s` are over."""
    until = monotonic() + lasts_s
    yield b"retry: %d\n\n" % RETRY_MS
    last_health: dict[str, Any] = {}
    refreshed = monotonic()
    while True:
        health = probes.states()
        if health != last_health:
            yield event("health", health)
            last_health = health
        # While the database is away there are no readings; health says so.
        try:
            with engine().connect() as connection:
                if monotonic() - refreshed > REFRESH_S:
                    with primary.connect() as asked:
                        is_valid = watch.may_go_on(asked)
                    if not is_valid or not watch.refresh(connection):
                        # The next request is told why.
                        return
                    refreshed = monotonic()
                news = list(watch.newer(connection))
        except SQLAlchemyError:
            news = []
        # A comment keeps proxies from closing a silent stream, and shows us that a reader has gone.
        yield b"".join([*news, b":\n\n"])
        if monotonic() + LOOK_S > until:
            return
        sleep(LOOK_S)


def event(name: str, data: Any, event_id: str | None = None) -> bytes:
    """A server-sent event, with its data as JSON."""
    first = f"id: {event_id}\n" if event_id else ""
    return b"%sevent: %s\ndata: %s\n\n" % (first.encode(), name.encode(), encodings.json(data))
