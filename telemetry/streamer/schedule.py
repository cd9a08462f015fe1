"""Beat's scheduler for an edge: a tick for each live streamer, and none while ticks wait.

So a queue that nobody serves does not grow, and ticks need no date of expiry, which would be judged by another clock than
it was set by. Whoever waits longest at the queue gets the next message, so each streamer gets its tick.
"""

from __future__ import annotations

from typing import Any

from celery.beat import ScheduleEntry

from telemetry import broker
from telemetry.monitoring.port.beat import Scheduler
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer.membership import Membership

MOST_WAITING = 3
# What sending takes is made up for by waking early (celery.beat.Scheduler.adjust).
EARLY_S = 0.010


class TickScheduler(Scheduler):
    """The schedule of the code, kept in memory: a file would only be one more thing that can be torn."""

    def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:
        self._settings: Settings = app.telemetry_settings
        self._client = broker.connect(self._settings)
        settings = self._settings
        self._membership = Membership(self._client, Keys(settings.key_prefix), settings.edge, settings.lease_s)
        super().__init__(app, *args, **kwargs)

    def adjust(self, n: Any, drift: float = -EARLY_S) -> Any:
        """How long to sleep of the seconds until an entry is due: all but the last moment, then exactly that.

        Celery's own takes the moment off the rest too, and turns until it is time: 1 % of a core at a tick a second.
        """
        return super().adjust(n, drift) if n and n > 2 * EARLY_S else n

    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send a tick to each streamer, unless some wait. Raises when the broker is away; beat logs it and goes on."""
        streamers = self._membership.count()
        room = MOST_WAITING * streamers - int(self._client.llen(self._settings.tick_queue))
        if room <= 0:
            self.ticking.done()
            return None
        sent = None
        for _ in range(min(streamers, room)):
            sent = super().apply_async(entry, producer, advance and sent is None, **kwargs)
        return sent
