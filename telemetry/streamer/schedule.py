"""Beat's scheduler for an edge: it sends no tick while ticks wait, so that a queue nobody serves does not grow."""

from __future__ import annotations

from typing import Any

from celery.beat import ScheduleEntry

from telemetry import broker
from telemetry.monitoring.beat import Scheduler
from telemetry.settings import Settings

MOST_WAITING = 3


class TickScheduler(Scheduler):
    """The schedule of the code, kept in memory: a file would only be one more thing that can be torn."""

    def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:
        self._settings: Settings = app.telemetry_settings
        self._client = broker.connect(self._settings)
        super().__init__(app, *args, **kwargs)

    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send a tick, unless some wait. Raises when the broker is away; beat logs it and goes on."""
        if self._client.llen(self._settings.tick_queue) >= MOST_WAITING:
            self.ticking.done()
            return None
        return super().apply_async(entry, producer, advance, **kwargs)
