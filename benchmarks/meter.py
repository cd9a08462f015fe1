"""What the parts of a centre take of the machine while a fleet runs: CPU time, also by tick, message and row.

These are the figures that `telemetry plan` stands on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import psutil

from benchmarks import processes
from telemetry.local.servers.server import Server


class Meter:
    """While entered, the CPU time of some brokers, of collectors by the ids of their main processes, and of Postgres."""

    def __init__(self, brokers: Iterable[Server], collectors: Iterable[int], postgres: Server) -> None:
        self._parts = {f"broker {number}": _pids(server) for number, server in enumerate(brokers)}
        self._parts |= {"collectors": tuple(collectors), "postgres": _pids(postgres)}
        self._before: dict[str, float] = {}
        self._begun_s = 0.0
        self._taken: dict[str, float] = {}
        self._took_s = 1.0
        self._machine_percent = 0.0

    def __enter__(self) -> Self:
        psutil.cpu_percent()
        self._begun_s, self._before = time.monotonic(), self._now()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        now = self._now()
        self._took_s, self._taken = time.monotonic() - self._begun_s, {name: now[name] - self._before[name] for name in now}
        self._machine_percent = psutil.cpu_percent()

    def figures(self, ticks: int, rows: int) -> dict[str, float]:
        """The figures, for so many ticks, each with a message, and rows. Of several brokers, percent of the busiest."""
        brokers = [taken for name, taken in self._taken.items() if name.startswith("broker")]
        return {
            "broker_cpu_percent": 100 * max(brokers) / self._took_s,
            "machine_cpu_percent": self._machine_percent,
            "broker_us_a_tick": 1e6 * sum(brokers) / ticks,
            "collector_us_a_message": 1e6 * self._taken["collectors"] / ticks,
            "postgres_us_a_row": 1e6 * self._taken["postgres"] / rows,
        }

    def _now(self) -> dict[str, float]:
        return {name: processes.cpu_s(*pids) for name, pids in self._parts.items()}


def _pids(server: Server) -> tuple[int, ...]:
    assert server.pid is not None, "it runs"  # noqa: S101
    return (server.pid,)
