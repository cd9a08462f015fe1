"""Whether the loop of a process turns: it beats from the loop's own timer, and others ask how long ago it last did.

While the broker is away a worker's loop waits for it and turns for nothing else; that is no reason to end the worker, so
`beat_unless` beats in its place.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
# A tick may work for some seconds, and after an outage Celery waits up to 30 s before it connects again.
LIMIT_S = 60.0


class Heartbeat:
    """When the loop last turned. `file` is touched at each beat, for a probe that cannot ask a port."""

    def __init__(self, file: Path | None, cluster: str, component: str) -> None:
        self._file = file
        self._labels = (cluster, component)
        self._last_s = time.monotonic()

    def beat(self) -> None:
        """The loop has turned."""
        self._last_s = time.monotonic()
        if self._file is not None:
            try:
                self._file.touch()
            except OSError as error:
                log.warning("cannot touch the heartbeat file %s: %s", self._file, error.strerror)

    def beat_unless(self, reachable: bool) -> None:
        """While the broker is away the loop cannot turn, and nothing is wrong with it."""
        if not reachable:
            self.beat()

    def silent_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._last_s

    def is_alive(self) -> bool:
        """Whether the loop turned lately."""
        return self.silent_s() < LIMIT_S

    def collect(self) -> Iterable[Metric]:
        """For a registry of prometheus_client."""
        family = GaugeMetricFamily(
            "telemetry_heartbeat_age_seconds",
            "Seconds since the loop of this process last turned.",
            labels=("cluster", "component"),
        )
        family.add_metric(self._labels, self.silent_s())
        yield family
