"""Puts monitoring into a Celery worker, as steps of its start: shared counts before the fork, the port after it, a heartbeat.

`Port` belongs to the worker's main process, `Pulse` to its consumer, whose own timer beats: a consumer that stalls does not.
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from telemetry.monitoring import outages
from telemetry.monitoring.counters import definitions, shared, transactions
from telemetry.monitoring.counters.definitions import CollectorCounters, StreamerCounters
from telemetry.monitoring.port import server
from telemetry.monitoring.port.connection import BrokerPing
from telemetry.monitoring.port.heartbeat import INTERVAL_S, Heartbeat
from telemetry.settings import Settings


def component(settings: Settings) -> str:
    """What a worker of this role is called in metrics."""
    return "streamer" if settings.role == "edge" else "collector"


class Port(bootsteps.StartStopStep):
    """The port of a worker, its pings of the broker and its heartbeat."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        settings: Settings = parent.app.telemetry_settings
        name = component(settings)
        self._stores = settings.role == "central"
        parent.heartbeat = Heartbeat(settings.heartbeat_file, settings.cluster_name, name)
        self._ping = BrokerPing(settings, name, parent.heartbeat.beat_unless)
        if settings.metrics_port or self._stores:
            # Here and not in start: all steps are made before the first one starts, and the pool forks when it does.
            shared.share()
            definitions.of(StreamerCounters if name == "streamer" else CollectorCounters)
            transactions.last()

    def start(self, parent: Any) -> None:
        """Open the port; a port that is taken ends the worker with one line."""
        settings: Settings = parent.app.telemetry_settings
        if settings.metrics_port or settings.heartbeat_file:
            self._ping.start()
        if not settings.metrics_port:
            return
        registry = server.registry_of(settings, component(settings), [self._ping, parent.heartbeat])
        try:
            server.serve(settings, registry, lambda: _live(parent.heartbeat), self._ready)
        except server.PortError as error:
            raise SystemExit(f"telemetry: {error}") from None

    def stop(self, parent: Any) -> None:
        """Stop asking the broker."""
        self._ping.stop()

    terminate = stop

    def _ready(self) -> server.Answer:
        parts = {"broker": "ok" if self._ping.reachable else "unreachable"}
        if self._stores:
            parts["database"] = "failing" if transactions.last().failed() else "ok"
        return all(state == "ok" for state in parts.values()), parts


class Pulse(bootsteps.StartStopStep):
    """The consumer's timer beats as long as its loop turns."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._entry: Any = None

    def start(self, parent: Any) -> None:
        """Begin to beat, anew after each reconnection."""
        outages.outage.over()
        heartbeat: Heartbeat = parent.controller.heartbeat
        heartbeat.beat()
        self._entry = parent.timer.call_repeatedly(INTERVAL_S, heartbeat.beat)

    def stop(self, parent: Any) -> None:
        """Stop beating for this connection."""
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None

    shutdown = stop


def _live(heartbeat: Heartbeat) -> server.Answer:
    return heartbeat.is_alive(), {"silent_s": round(heartbeat.silent_s(), 1)}
