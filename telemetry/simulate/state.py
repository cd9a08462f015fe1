"""What a fleet carries from one time to the next: temperatures and counters.

Both go through the times one by one, so that numbers are rounded alike however the times are grouped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Time constant of a GPU with its heat sink.
WARMING_S = 40.0


class Warmth:
    """Temperatures that follow their goal slowly; at the first time they have reached it."""

    def __init__(self, interval_s: float) -> None:
        self._share = float(1 - np.exp(-interval_s / WARMING_S))
        self._now: Floats | None = None

    def after(self, goals: Floats) -> Floats:
        """The temperatures at each time, from their goals then: (times, GPUs)."""
        now = goals[0].copy() if self._now is None else self._now
        out = np.empty_like(goals)
        for row, goal in enumerate(goals):
            now = now + self._share * (goal - now)
            out[row] = now
        self._now = now
        return out


class Counters:
    """Totals of every GPU by name, each from 0 unless begun elsewhere."""

    def __init__(self, gpus: int) -> None:
        self._gpus = gpus
        self._totals: dict[str, Floats] = {}

    def begin(self, name: str, totals: Floats) -> None:
        """Let a counter start at these totals."""
        self._totals[name] = totals

    def add(self, name: str, new: NDArray[Any]) -> Floats:
        """The totals at each time, from what is new then: (times, GPUs)."""
        before = self._totals.get(name, np.zeros(self._gpus))
        totals: Floats = np.cumsum(np.vstack([before, new]), axis=0, dtype=np.float64)[1:]
        self._totals[name] = totals[-1]
        return totals
