"""Beat's scheduler at the centre: Celery's own, kept in memory, with beat's port. The schedule is the application's."""

from __future__ import annotations

from typing import Any

from celery import beat

from telemetry.monitoring.port.beat import BeatPort


class CentralScheduler(beat.Scheduler):
    """Celery's scheduler, which tells its port when it turns."""

    def __init__(self, app: Any, *args: Any, **options: Any) -> None:
        super().__init__(app, *args, **options)
        self._port = BeatPort(app.telemetry_settings)
        # Celery makes a lazy scheduler first, for its banner.
        if not options.get("lazy"):
            self._port.open()

    def tick(self, *args: Any, **options: Any) -> float:
        """Publish what is due. Returns the seconds until the next turn. It waits here while the broker is away."""
        self._port.turned()
        wait_s: float = super().tick(*args, **options)
        return wait_s
