"""Puts monitoring into beat: a scheduler that beats at each of its turns, the port, and a count of the ticks published."""

from __future__ import annotations

from typing import Any

from celery import beat, signals

from telemetry.monitoring import metrics, server
from telemetry.monitoring.connection import Connection
from telemetry.monitoring.heartbeat import Heartbeat
from telemetry.settings import Settings

COMPONENT = "beat"


class Scheduler(beat.Scheduler):
    """Celery's scheduler in memory, which says that it turns."""

    def __init__(self, app: Any, *args: Any, **options: Any) -> None:
        super().__init__(app, *args, **options)
        settings: Settings = app.telemetry_settings
        self._heartbeat = Heartbeat(settings.heartbeat_file, settings.cluster_name, COMPONENT)
        self._connection = Connection(settings, COMPONENT, self._heartbeat.beat_unless)
        # Celery makes a lazy one first, for its banner.
        if not options.get("lazy"):
            self._open(settings)

    def tick(self, *args: Any, **options: Any) -> float:
        """Publish what is due; seconds until the next turn. It waits here while the broker is away."""
        self._heartbeat.beat()
        wait_s: float = super().tick(*args, **options)
        return wait_s

    def _open(self, settings: Settings) -> None:
        if settings.metrics_port or settings.heartbeat_file:
            self._connection.start()
        if not settings.metrics_port:
            return
        signals.after_task_publish.connect(_count, weak=False, dispatch_uid="telemetry.beat")
        metrics.of(metrics.Beat)
        registry = server.registry_of(settings, COMPONENT, [self._connection, self._heartbeat])
        try:
            server.serve(settings, registry, self._live, self._ready)
        except server.PortError as error:
            raise SystemExit(f"telemetry: {error}") from None

    def _live(self) -> server.Answer:
        return self._heartbeat.is_alive(), {"silent_s": round(self._heartbeat.silent_s(), 1)}

    def _ready(self) -> server.Answer:
        reachable = self._connection.reachable
        return reachable, {"broker": "ok" if reachable else "unreachable"}


def _count(**_: Any) -> None:
    metrics.of(metrics.Beat).ticks.inc()
