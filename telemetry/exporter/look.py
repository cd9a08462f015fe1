"""Looks at one part of the system at an interval, in a thread of its own, and keeps the answer for the scrapes.

A part that fails or hangs does not affect the others: its own metrics are absent after three intervals, and its `exporter_up`
is 0. A slow look is followed by a pause many times as long, so that looks cost a part a few percent of its time at most.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import redis
import sqlalchemy.exc
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from telemetry.exporter.families import joined, keyed

log = logging.getLogger(__name__)

# What a part that is away or refuses may raise; any other error is a bug, and logged with its traceback.
FAILURES = (redis.RedisError, sqlalchemy.exc.SQLAlchemyError, OSError)
MISSED_LOOKS = 3
PAUSE_FACTOR = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look has seen, and when (on the monotonic clock)."""

    metrics: Sequence[Metric]
    at_s: float


class Look:
    """One part of the system. `ask` returns its metrics and raises one of FAILURES."""

    def __init__(
        self, name: str, interval_s: float, ask: Callable[[], Sequence[Metric]], pause_factor: int = PAUSE_FACTOR
    ) -> None:
        self.name = name
        self._interval_s = interval_s
        self._pause_factor = pause_factor
        self._ask = ask
        # None until the first look, and after one that failed.
        self._answer: Answer | None = None
        self.pause_s = interval_s
        self.failures = 0
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Look now, and again at each interval."""
        self._thread = threading.Thread(target=self._run, name=f"look-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the present look."""
        self._stopping.set()

    def is_alive(self) -> bool:
        """Whether the thread will look again, however the last look ended."""
        return self._thread is not None and self._thread.is_alive()

    def is_fresh(self) -> bool:
        """Whether the last look succeeded, a short time ago."""
        answer = self._answer
        return answer is not None and time.monotonic() - answer.at_s < MISSED_LOOKS * self.pause_s + 1

    def seen(self) -> Sequence[Metric]:
        """The metrics of the last look; none once they are too old."""
        answer = self._answer
        return answer.metrics if answer is not None and self.is_fresh() else ()

    def once(self) -> None:
        """Look now."""
        began_s = time.monotonic()
        was_failing = self._answer is None and self.failures > 0
        try:
            metrics = self._ask()
        except Exception as error:
            self.failures += 1
            self._answer = None
            if not isinstance(error, FAILURES):
                log.exception("unexpected error while looking at the %s", self.name)
            elif not was_failing:
                log.warning("cannot look at the %s: %s", self.name, (str(error).splitlines() or [type(error).__name__])[0])
        else:
            ended_s = time.monotonic()
            self.pause_s = max(self._interval_s, self._pause_factor * (ended_s - began_s))
            self._answer = Answer(metrics, ended_s)
            if was_failing:
                log.info("can look at the %s again", self.name)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.once()
            self._stopping.wait(self.pause_s)


class Looks:
    """All parts, as one collector for a registry of prometheus_client."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self._looks = looks

    def collect(self) -> Iterator[Metric]:
        """The metrics of all parts, and those about the looks themselves."""
        yield from joined(metric for look in self._looks for metric in look.seen())
        up = {look.name: float(look.is_fresh()) for look in self._looks}
        yield keyed("telemetry_exporter_up", "1 while the exporter can look at a part of the system.", "part", up)
        failed = CounterMetricFamily("telemetry_exporter_failures_total", "Looks that failed.", labels=("part",))
        for look in self._looks:
            failed.add_metric((look.name,), look.failures)
        yield failed
