"""Whether the broker answers this process: pinged every few seconds over a connection of its own.

A silent broker counts as unreachable. The last answer can be read at any time, also while the next ping hangs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import redis
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from telemetry import broker
from telemetry.settings import Settings

INTERVAL_S = 2.0
TIMEOUT_S = 2.0


def status_metric(cluster: str, component: str, reachable: bool) -> Metric:
    """The metric by the name that operators rely on."""
    family = GaugeMetricFamily(
        "message_queue_connection_status",
        "1 while the broker answers this process, 0 while it does not.",
        labels=("cluster", "component"),
    )
    family.add_metric((cluster, component), float(reachable))
    return family


class BrokerPing:
    """Pings the broker in a thread, from `start` on. `after_ping` is called after every ping, answered or not."""

    def __init__(self, settings: Settings, component: str, after_ping: Callable[[bool], None] | None = None) -> None:
        self._settings = settings
        self._component = component
        self._after_ping = after_ping
        self._stopping = threading.Event()
        self.reachable = False

    def start(self) -> None:
        """Start the thread."""
        client = broker.connect(self._settings, socket_timeout_s=TIMEOUT_S, retries=0)
        threading.Thread(target=self._watch, args=(client,), name="connection", daemon=True).start()

    def stop(self) -> None:
        """Stop pinging."""
        self._stopping.set()

    def collect(self) -> Iterable[Metric]:
        """For a registry of prometheus_client."""
        yield status_metric(self._settings.cluster_name, self._component, self.reachable)

    def _watch(self, client: redis.Redis) -> None:
        while not self._stopping.is_set():
            try:
                self.reachable = bool(client.ping())
            except (redis.RedisError, OSError):
                self.reachable = False
            if self._after_ping is not None:
                self._after_ping(self.reachable)
            self._stopping.wait(INTERVAL_S)
        client.close()
