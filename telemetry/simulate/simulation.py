"""A run: the fleet is scraped step by step, into CSV rows in the order of time. Pacing and files are `run`'s."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from telemetry.simulate.behaviour import METRICS, Behaviour
from telemetry.simulate.fleet import build
from telemetry.simulate.rows import Template, template
from telemetry.simulate.timeline import SECOND, Timeline
from telemetry.simulate.truth import Truth

# GPUs times steps that are computed at once: enough to keep NumPy busy, few enough to fit in memory.
BLOCK_CELLS = 1 << 13
ENERGY, XID = (METRICS.index(f"DCGM_FI_DEV_{name}") for name in ("TOTAL_ENERGY_CONSUMPTION", "XID_ERRORS"))


@dataclass(frozen=True, slots=True)
class Scrape:
    """One host's rows at one time."""

    time_us: int
    rows: int
    text: bytes


class Simulation:
    """A fleet of a seed, from a start on. The same arguments make the same bytes. With `truth` it notes what was so."""

    def __init__(self, hosts: int, gpus: int, timeline: Timeline, seed: int, *, truth: bool = False) -> None:
        self.timeline = timeline
        self._gpus = gpus
        self._fleet = build(hosts, gpus, seed)
        self._behaviour = Behaviour(self._fleet, seed, timeline.start_us, timeline.interval_us)
        phases = [timeline.phase_us(host.name) for host in self._fleet]
        self._order = sorted(enumerate(phases), key=lambda pair: (pair[1], pair[0]))
        self.truth = Truth(self._fleet, timeline) if truth else None
        self._templates: list[tuple[tuple[int, bytes], Template] | None] = [None] * hosts

    def steps(self, first: int, count: int) -> Iterator[list[Scrape]]:
        """The scrapes of each step, by time. Steps may be left out but not repeated, as the fleet's state goes on."""
        size = max(1, BLOCK_CELLS // (self._gpus * len(self._fleet)))
        for begin in range(first, first + count, size):
            numbers = range(begin, min(begin + size, first + count))
            reading = self._behaviour.over(np.array([self.timeline.step_us(step) for step in numbers]) / SECOND)
            for row, step in enumerate(numbers):
                scrapes = []
                for host, phase in self._order:
                    gpus = slice(host * self._gpus, (host + 1) * self._gpus)
                    form = self._template(host, int(reading.slots[row, host]), reading.silent[row, gpus])
                    time_us = self.timeline.step_us(step) + phase
                    text = form.fill(self.timeline.stamp(time_us), reading.values[row, :, gpus])
                    scrapes.append(Scrape(time_us, form.rows, text))
                    if self.truth is not None:
                        energy, xids = reading.values[row, ENERGY, gpus], reading.values[row, XID, gpus]
                        jobs = self._behaviour.load.jobs(self._fleet[host], int(reading.slots[row, host]))
                        self.truth.note(host, time_us, jobs, energy.tolist(), xids.tolist())
                yield scrapes

    def _template(self, host: int, slot: int, silent: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Template:
        key = (slot, silent.tobytes())
        cached = self._templates[host]
        if cached is None or cached[0] != key:
            jobs = self._behaviour.load.jobs(self._fleet[host], slot)
            cached = key, template(self._fleet[host], jobs, silent, METRICS)
            self._templates[host] = cached
        return cached[1]
