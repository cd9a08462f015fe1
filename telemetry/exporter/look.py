"""Looks at one part of the system at an interval, in a thread of its own, and keeps what it saw for the scrapes.

A part that fails or hangs takes nothing along: its metrics are absent after three intervals, and its `exporter_up` is 0. A look
that takes long is followed by a pause many times as long, so none costs what it looks at more than a few percent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import redis
import sqlalchemy.exc
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from telemetry.exporter.families import keyed

log = logging.getLogger(__name__)

FAILURES = (redis.RedisError, sqlalchemy.exc.SQLAlchemyError, OSError)
MISSED_LOOKS = 3
PAUSE_FACTOR = 20


class Look:
    """One part. `ask` returns its metrics; FAILURES are those it is expected to raise."""

    def __init__(self, name: str, interval_s: float, ask: Callable[[], Sequence[Metric]]) -> None:
        self.name = name
        self._interval_s = interval_s
        self._ask = ask
        self._seen: Sequence[Metric] = ()
        self._at_s: float | None = None
        self._pause_s = interval_s
        self._failing = False
        self._thread: threading.Thread | None = None
        self.failures = 0
        self._stopping = threading.Event()

    def start(self) -> None:
        """Look now, and again at each interval."""
        self._thread = threading.Thread(target=self._run, name=f"look-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def is_alive(self) -> bool:
        """Whether it will look again, however the last look ended."""
        return self._thread is not None and self._thread.is_alive()

    def is_fresh(self) -> bool:
        """Whether the last look was lately, and saw something."""
        return self._at_s is not None and time.monotonic() - self._at_s < MISSED_LOOKS * self._pause_s + 1

    def seen(self) -> Sequence[Metric]:
        """What it saw; nothing once that is too old to be true."""
        return self._seen if self.is_fresh() else ()

    def once(self) -> None:
        """Look now."""
        began_s = time.monotonic()
        try:
            self._seen = self._ask()
        except Exception as error:
            self.failures += 1
            if not isinstance(error, FAILURES):
                log.exception("an error nobody thought of, at a look at the %s", self.name)
            elif not self._failing:
                log.warning("cannot look at the %s: %s", self.name, (str(error).splitlines() or [type(error).__name__])[0])
            self._failing, self._at_s = True, None
        else:
            self._pause_s = max(self._interval_s, PAUSE_FACTOR * (time.monotonic() - began_s))
            if self._failing:
                log.info("can look at the %s again", self.name)
            self._failing, self._at_s = False, time.monotonic()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.once()
            self._stopping.wait(self._pause_s)


class Looks:
    """All parts, as one collector for a registry of prometheus_client."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self._looks = looks

    def collect(self) -> Iterator[Metric]:
        """What all of them saw."""
        for each in self._looks:
            yield from each.seen()
        up = {each.name: float(each.is_fresh()) for each in self._looks}
        yield keyed("telemetry_exporter_up", "1 while the exporter can look at a part of the system.", "part", up)
        failed = CounterMetricFamily("telemetry_exporter_failures_total", "Looks that failed.", labels=("part",))
        for each in self._looks:
            failed.add_metric((each.name,), each.failures)
        yield failed
