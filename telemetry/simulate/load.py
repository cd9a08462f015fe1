"""How hard the fleet works over time: utilisation and memory traffic of every GPU, from its jobs.

Training runs flat out, but for checkpoints (all GPUs of a pod at once) and stalls; inference is spiky and follows the
day; a notebook mostly sits on its GPU. Arrays are (times, GPUs), GPUs in the order of the fleet. Each kind of noise has
a generator of its own, so that the numbers do not depend on how many times are asked for at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from telemetry.simulate.fleet import Host
from telemetry.simulate.jobs import Job, Plan, plan, slot

CHECKPOINT_S = 25.0
# Shares of the time in which training stalls, inference peaks and a notebook's cell runs.
STALLS, SPIKES, RUNS = 0.02, 0.06, 0.04


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of every GPU at every time, as shares of 1; `slots` is (times, hosts)."""

    work: NDArray[np.int8]
    busy: NDArray[np.float64]
    memory: NDArray[np.float64]
    fill: NDArray[np.float64]
    slots: NDArray[np.int64]


class Load:
    """The demand on a fleet."""

    def __init__(self, fleet: tuple[Host, ...], seed: int, start_s: int) -> None:
        self._fleet = fleet
        self._seed = seed
        ends = np.cumsum([0] + [len(host.gpus) for host in fleet]).tolist()
        self._places = [slice(*pair) for pair in pairwise(ends)]
        self._noise = np.random.default_rng((seed, start_s, 1))
        self._chance = np.random.default_rng((seed, start_s, 2))
        self._plan = lru_cache(maxsize=4 * len(fleet))(partial(plan, seed))

    def jobs(self, host: Host, slot_number: int) -> tuple[Job, ...]:
        """The jobs on a host's GPUs in a slot."""
        return self._plan_of(host, slot_number).jobs

    def over(self, seconds: NDArray[np.float64]) -> Demand:
        """The demand at `seconds`, a sequence of times after those of earlier calls."""
        shape = (len(seconds), self._places[-1].stop)
        slots = np.empty((len(seconds), len(self._fleet)), np.int64)
        work = np.empty(shape, np.int8)
        level, fill, every, at = (np.empty(shape) for _ in range(4))
        for column, (host, place) in enumerate(zip(self._fleet, self._places, strict=True)):
            slots[:, column] = slot(self._seed, host.number, seconds)
            for number in np.unique(slots[:, column]).tolist():
                rows = np.flatnonzero(slots[:, column] == number)
                there = slice(rows[0], rows[-1] + 1), place
                now = self._plan_of(host, number)
                work[there], level[there], fill[there] = now.work, now.level, now.fill
                every[there], at[there] = now.checkpoint_every_s, now.checkpoint_at_s
        checkpoint = (seconds[:, None] + at) % every < CHECKPOINT_S
        busy = self._busy(work, level, checkpoint, seconds)
        memory = busy * np.choose(work, (0.0, 0.74, 0.46, 0.3)) * level
        return Demand(work, busy, memory, fill, slots)

    def _busy(
        self,
        work: NDArray[np.int8],
        level: NDArray[np.float64],
        checkpoint: NDArray[np.bool_],
        seconds: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        noise = self._noise.standard_normal(work.shape)
        chance = self._chance.random(work.shape)
        day = 0.65 + 0.35 * np.sin(2 * np.pi * (seconds[:, None] / 86_400 - 0.25))
        training = np.where(chance < STALLS, 0.62, 0.985) * level + 0.012 * noise
        training = np.where(checkpoint, 0.1 + 0.03 * noise, training)
        inference = np.where(chance < SPIKES, 0.93, 0.42 * level * day * np.exp(0.45 * noise))
        notebook = np.where(chance < RUNS, 0.55 + 0.2 * noise, 0.0)
        busy: NDArray[np.float64] = np.choose(work, (np.zeros(work.shape), training, inference, notebook))
        return np.clip(busy, 0.0, 1.0)

    def _plan_of(self, host: Host, slot_number: int) -> Plan:
        return self._plan(host.number, len(host.gpus), slot_number)
