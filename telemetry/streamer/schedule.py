"""Beat's scheduler at an edge: a tick for each live streamer, and none while enough ticks wait.

So a queue that nobody serves does not grow, and ticks need no expiry, which would compare two machines' clocks. Whoever
waits longest at the queue gets the next message, so each streamer gets its tick.
"""

from __future__ import annotations

from typing import Any

from celery import beat
from celery.beat import ScheduleEntry

from telemetry import broker
from telemetry.monitoring.port.beat import BeatPort
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer.membership import Membership

# Ticks that may wait for each live streamer.
MAX_WAITING = 3
# Sending takes a moment; beat wakes earlier by this much (celery.beat.Scheduler.adjust).
EARLY_S = 0.010


class TickScheduler(beat.Scheduler):
    """Keeps the application's schedule in memory, as a file could be torn, and tells beat's port what it does."""

    def __init__(self, app: Any, *args: Any, **options: Any) -> None:
        settings: Settings = app.telemetry_settings
        self._queue = settings.tick_queue
        self._client = broker.connect(settings)
        self._membership = Membership(self._client, Keys(settings.key_prefix), settings.edge, settings.lease_s)
        super().__init__(app, *args, **options)
        self._is_closed = False
        self._port = BeatPort(settings)
        # Celery makes a lazy scheduler first, for its banner.
        if not options.get("lazy"):
            self._port.open()

    def tick(self, *args: Any, **options: Any) -> float:
        """Publish what is due. Returns the seconds until the next turn. It waits here while the broker is away."""
        if self._is_closed:
            raise SystemExit
        self._port.turned()
        wait_s: float = super().tick(*args, **options)
        return wait_s

    def close(self) -> None:
        """Release the connection. Beat is told to end: no tick comes after this.

        Celery's handler of SIGTERM closes the scheduler and then raises SystemExit. Where redis-py waits for an answer, the
        closed buffer raises another error in its place, and beat would go on as if nobody had said anything.
        """
        self._is_closed = True
        super().close()

    def adjust(self, n: Any, drift: float = -EARLY_S) -> Any:
        """How long to sleep of the seconds until an entry is due: all but the last moment, then exactly that.

        Celery's own method takes the moment off the rest too, and turns until it is time: 1 % of a core at a tick a second.
        """
        return super().adjust(n, drift) if n and n > 2 * EARLY_S else n

    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **options: Any) -> Any:
        """Send a tick to each streamer, unless enough wait. Raises when the broker is away; beat logs it and goes on."""
        streamers = self._membership.count()
        room = MAX_WAITING * streamers - int(self._client.llen(self._queue))
        if room <= 0:
            self._port.cared_for_tick()
            return None
        sent = None
        for _ in range(min(streamers, room)):
            sent = super().apply_async(entry, producer, advance and sent is None, **options)
        return sent
