"""What a series' samples of a day come to in each hour of UTC: how many, their sum, minimum and maximum. Pure.

The 96 numbers stand beside the arrays of a sealed day, for questions of long spans. Where they do not fit the row, as a version
before wrote it, or are not there, the arrays are read.
"""

from __future__ import annotations

import numpy as np

from telemetry.readings.arrays import Float64s, Int64s

HOURS = 24
HOUR_US = 3_600_000_000
# The figures, in this order, each of all hours. Those of an hour without samples are 0.
FIGURES = ("count", "sum", "min", "max")
SIZE = HOURS * len(FIGURES)
# The arrays of fewer samples are read as fast.
MIN_SAMPLES = 720


def summed(ts_us: Int64s, values: Float64s) -> Float64s | None:
    """The figures of the samples of one day, in order of time; None where there are few. Of two NaN is the greater."""
    if len(ts_us) < MIN_SAMPLES:
        return None
    start_us = ts_us[0] - ts_us[0] % (HOURS * HOUR_US)
    ends = np.searchsorted(ts_us, start_us + HOUR_US * np.arange(HOURS + 1))
    filled = np.flatnonzero(ends[1:] > ends[:-1])
    begins = ends[filled]
    figures = np.zeros((len(FIGURES), HOURS))
    figures[0] = ends[1:] - ends[:-1]
    # A sum that overflows is told when it is asked for.
    with np.errstate(all="ignore"):
        for place, ufunc in enumerate((np.add, np.fmin, np.maximum), 1):
            figures[place, filled] = ufunc.reduceat(values, begins)
    flat: Float64s = figures.ravel()
    return flat
