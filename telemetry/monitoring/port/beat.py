"""The port of beat: whether it turns, whether the broker answers it, and how long ago it cared for a tick.

A scheduler owns a `BeatPort` and tells it what happens; when something is due is the scheduler's business. A beat inside a
worker (`worker --beat`) opens no port: it counts together with the worker, and the worker's port shows both.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from celery import signals
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from telemetry.monitoring.counters import definitions, shared
from telemetry.monitoring.counters.definitions import BeatCounters
from telemetry.monitoring.port import server
from telemetry.monitoring.port.connection import BrokerPing
from telemetry.monitoring.port.heartbeat import Heartbeat
from telemetry.settings import Settings

COMPONENT = "beat"


class LastTick:
    """When a tick was last published, or held back because enough of them wait."""

    def __init__(self, settings: Settings) -> None:
        self._labels = (settings.cluster_name, settings.edge)
        self._interval_s = settings.stream_interval_s
        self._last_s = time.monotonic()

    def now(self) -> None:
        """It is now."""
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


class BeatPort:
    """What a scheduler tells of itself. `open` begins to count and opens the port; until then nothing is shown."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heartbeat = Heartbeat(settings.heartbeat_file, settings.cluster_name, COMPONENT)
        self._ping = BrokerPing(settings, COMPONENT, self._heartbeat.beat_unless)
        self._last_tick = LastTick(settings)

    def turned(self) -> None:
        """The scheduler begins another turn."""
        self._heartbeat.beat()

    def cared_for_tick(self) -> None:
        """A tick was due; it was held back, as enough of them wait. Those that are published count by themselves."""
        self._last_tick.now()

    def open(self) -> None:
        """Count and show, as far as the settings ask for it. A port that is taken ends the process with one line."""
        settings = self._settings
        if settings.metrics_port or settings.heartbeat_file:
            self._ping.start()
        if not settings.metrics_port:
            return
        signals.after_task_publish.connect(self._published, weak=False, dispatch_uid="telemetry.beat")
        if shared.directory() is not None:
            # Celery has closed all files of this child of the worker.
            shared.join()
            definitions.of(BeatCounters)
            return
        definitions.of(BeatCounters)
        ticks = [self._last_tick] if settings.role == "edge" else []
        registry = server.registry_of(settings, COMPONENT, [self._ping, self._heartbeat, *ticks])
        try:
            server.serve(settings, registry, self._live, self._ready)
        except server.PortError as error:
            raise SystemExit(f"telemetry: {error}") from None

    def _live(self) -> server.Answer:
        return self._heartbeat.is_alive(), {"silent_s": round(self._heartbeat.silent_s(), 1)}

    def _ready(self) -> server.Answer:
        reachable = self._ping.reachable
        return reachable, {"broker": "ok" if reachable else "unreachable"}

    def _published(self, **_: Any) -> None:
        self._last_tick.now()
        definitions.of(BeatCounters).ticks.inc()
