"""Puts monitoring into beat: a scheduler that beats at each of its turns, the port, and what became of the ticks.

A beat inside a worker (`worker --beat`) opens no port: it counts with the worker, whose port is the process'.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from celery import beat, signals
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from telemetry.monitoring.counters import definitions, shared
from telemetry.monitoring.port import server
from telemetry.monitoring.port.connection import Connection
from telemetry.monitoring.port.heartbeat import Heartbeat
from telemetry.settings import Settings

COMPONENT = "beat"


class Ticking:
    """When a tick was last published, or held back because enough of them wait."""

    def __init__(self, settings: Settings) -> None:
        self._labels = (settings.cluster_name, settings.edge)
        self._interval_s = settings.stream_interval_s
        self._last_s = time.monotonic()

    def done(self) -> None:
        """Now."""
        self._last_s = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """For a registry of prometheus_client."""
        for name, text, value in (
            ("telemetry_beat_silent_seconds", "Seconds since beat cared for a tick.", time.monotonic() - self._last_s),
            ("telemetry_beat_interval_seconds", "Seconds between two ticks, as the settings say.", self._interval_s),
        ):
            family = GaugeMetricFamily(name, text, labels=("cluster", "edge"))
            family.add_metric(self._labels, value)
            yield family


class Scheduler(beat.Scheduler):
    """Celery's scheduler in memory, which says that it turns."""

    def __init__(self, app: Any, *args: Any, **options: Any) -> None:
        super().__init__(app, *args, **options)
        settings: Settings = app.telemetry_settings
        self._heartbeat = Heartbeat(settings.heartbeat_file, settings.cluster_name, COMPONENT)
        self._connection = Connection(settings, COMPONENT, self._heartbeat.beat_unless)
        self.ticking = Ticking(settings)
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
        signals.after_task_publish.connect(self._count, weak=False, dispatch_uid="telemetry.beat")
        if shared.directory() is not None:
            # Celery has closed all files of this child of the worker.
            shared.join()
            definitions.of(definitions.Beat)
            return
        definitions.of(definitions.Beat)
        ticking = [self.ticking] if settings.role == "edge" else []
        registry = server.registry_of(settings, COMPONENT, [self._connection, self._heartbeat, *ticking])
        try:
            server.serve(settings, registry, self._live, self._ready)
        except server.PortError as error:
            raise SystemExit(f"telemetry: {error}") from None

    def _live(self) -> server.Answer:
        return self._heartbeat.is_alive(), {"silent_s": round(self._heartbeat.silent_s(), 1)}

    def _ready(self) -> server.Answer:
        reachable = self._connection.reachable
        return reachable, {"broker": "ok" if reachable else "unreachable"}

    def _count(self, **_: Any) -> None:
        self.ticking.done()
        definitions.of(definitions.Beat).ticks.inc()
