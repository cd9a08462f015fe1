"""What is broken: a few GPUs of the fleet fail again and again, each with one kind of fault.

`MEMORY` has ECC errors (XID 63 and 94, now and then a double-bit error and XID 48), `COOLING` overheats, `BUS` falls
off the bus (XID 79), is silent for a while and comes back. Faults come in episodes at fixed periods, so that minutes of
telemetry already show some; like the jobs they depend on the time alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEMORY, COOLING, BUS = 1, 2, 3
# Bad cooling shows only under work, so it is given twice as often.
KINDS = (MEMORY, COOLING, BUS, COOLING)
DOUBLE_BIT, OFF_THE_BUS = 48, 79
MEMORY_XIDS = np.array([63, 94, DOUBLE_BIT])
ERRORS_PER_S = 0.3
# Until when in its period a fault shows, as shares of the period.
XID_SHOWN, ERRORS_RISE, HOT, FALLING, SILENT = 0.5, 0.4, 0.7, 0.1, 0.3


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with every GPU at every time: (times, GPUs). Counts are those new at that time."""

    xid: NDArray[np.int64]
    silent: NDArray[np.bool_]
    hot: NDArray[np.bool_]
    single_bit: NDArray[np.int64]
    double_bit: NDArray[np.int64]
    replays: NDArray[np.int64]


class Faults:
    """The faults of a fleet of `gpus` GPUs. A fleet of fewer than four has none, as nothing healthy would be left to see."""

    def __init__(self, gpus: int, seed: int, start_s: int, interval_s: float) -> None:
        rng = np.random.default_rng((seed, 0xFA17))
        broken = min(gpus // 4, max(len(KINDS), round(gpus * 0.02)))
        self.kind = np.zeros(gpus, np.int8)
        self.kind[rng.permutation(gpus)[:broken]] = np.resize(KINDS, broken)
        self._period_s = rng.uniform(400, 900, gpus)
        self._offset_s = rng.uniform(0, 900, gpus)
        self._interval_s = interval_s
        self._errors = np.random.default_rng((seed, start_s, 3))

    def over(self, seconds: NDArray[np.float64]) -> Trouble:
        """The trouble at `seconds`, a sequence of times after those of earlier calls."""
        episode, into = np.divmod(seconds[:, None] + self._offset_s, self._period_s)
        share = into / self._period_s
        memory, bus = self.kind == MEMORY, self.kind == BUS
        code = MEMORY_XIDS[episode.astype(np.int64) % len(MEMORY_XIDS)]
        falling = bus & (share < FALLING)
        errors = self._errors.poisson(ERRORS_PER_S * self._interval_s, share.shape)
        begins = into < self._interval_s
        return Trouble(
            xid=np.where(memory & (share < XID_SHOWN), code, 0) + np.where(falling, OFF_THE_BUS, 0),
            silent=bus & (share >= FALLING) & (share < SILENT),
            hot=(self.kind == COOLING) & (share < HOT),
            single_bit=np.where(memory & (share < ERRORS_RISE), errors, 0),
            double_bit=np.where(memory & begins & (code == DOUBLE_BIT), 1, 0),
            replays=np.where(falling, errors, 0),
        )
