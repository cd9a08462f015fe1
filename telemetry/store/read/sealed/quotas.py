"""How many samples of each series are taken at once, and up to which time none is missing then. Pure functions over arrays."""

from __future__ import annotations

import numpy as np

from telemetry.readings.arrays import Bools, Int64s
from telemetry.store.read.places import Order
from telemetry.store.sealed_rows import Samples

# Of each series at least: of one that is rarely read a few samples may lie close together. Of many series it is less.
LEAST = 100
LEAST_OF_MANY = 16


def quotas(weights: Int64s, most: int, needed: int | None) -> Int64s:
    """So many samples, shared among series as they weigh, and a few more; of none more than are needed (None: all)."""
    least = min(LEAST, max(LEAST_OF_MANY, most // max(1, len(weights))))
    each: Int64s = least + most * weights // max(1, int(weights.sum()))
    return each if needed is None else np.minimum(each, needed)


def counts(samples: Samples, series: Int64s) -> Int64s:
    """How many there are of each series. Both are in order."""
    return np.searchsorted(samples.series, series, "right") - np.searchsorted(samples.series, series)


def reached(samples: Samples, series: Int64s, most: Int64s, order: Order) -> int | None:
    """Up to when there are all samples, if of each series the first so many were taken; None if none has as many."""
    begin, end = np.searchsorted(samples.series, series), np.searchsorted(samples.series, series, "right")
    full: Bools = end - begin >= most
    if not full.any():
        return None
    if order == "asc":
        return int(samples.ts_us[(begin + most - 1)[full]].min())
    return int(samples.ts_us[(end - most)[full]].max())


def up_to(samples: Samples, end_us: int, order: Order) -> Samples:
    """The samples up to a time, itself included, in an order of time."""
    return samples.taken(samples.ts_us <= end_us if order == "asc" else samples.ts_us >= end_us)


def behind(samples: Samples, end_us: int, order: Order) -> Samples:
    """The other samples."""
    return samples.taken(samples.ts_us > end_us if order == "asc" else samples.ts_us < end_us)
