"""Whether the loop of a process turns: the loop's own timer calls `beat`, and others ask how long ago that was.

While the broker is away, a worker's loop waits for it and does not turn. That is not a reason to end the worker, so
`beat_unless` beats in its place. For probes that cannot ask a port there are two files: one is touched at each beat; the
other, with READY at the end of its name, is there while the broker answers and the loop turns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
# A tick may work for some seconds, and after an outage Celery waits up to 30 s before it connects again.
LIMIT_S = 60.0
READY = ".ready"


class Heartbeat:
    """When the loop last turned; `file` is the file for probes."""

    def __init__(self, file: Path | None, cluster: str, component: str) -> None:
        self._file = file
        self._ready = file.with_name(file.name + READY) if file is not None else None
        self._turned = False
        self._labels = (cluster, component)
        self._last_s = time.monotonic()
        # The directory outlives a process: files that an earlier one left say nothing of this one.
        for file_left in (self._file, self._ready):
            if file_left is not None:
                _remove(file_left)

    def beat(self) -> None:
        """The loop has turned."""
        self._turned = True
        self._beat()

    def beat_unless(self, reachable: bool) -> None:
        """The broker answers, or it does not: then the loop cannot turn, and nothing is wrong with it."""
        if not reachable:
            self._beat()
        if self._ready is None:
            return
        if reachable and self._turned:
            _touch(self._ready)
        else:
            _remove(self._ready)

    def _beat(self) -> None:
        self._last_s = time.monotonic()
        if self._file is not None:
            _touch(self._file)

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


def _touch(file: Path) -> None:
    try:
        file.touch()
    except OSError as error:
        log.warning("cannot touch the heartbeat file %s: %s", file, error.strerror)


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()
