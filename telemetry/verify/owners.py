"""Compares who had which GPU: the minutes in which the files name an owner with the allocations of the database.

Nobody is not compared: readings of before revision 0009 left no trace of it. Neither are minutes missed whose readings are in
a series that names the owner itself, as collectors of before made them. A reading of a scheduler names an owner for a span of
time; what schedulers tell is compared with that alone, and what is read off GPUs with that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from telemetry.readings.tellers import TELLERS
from telemetry.verify import queries
from telemetry.verify.files import Longs
from telemetry.verify.formats import labels
from telemetry.verify.formats.base import SeriesKey
from telemetry.verify.matching import Doubles, Flags

MINUTE_US = 60_000_000
# Minutes of two thousand years fit into so many bits.
_BITS = 32
_MINUTE = (1 << _BITS) - 1
_NOBODY = labels.digest({})


@dataclass(frozen=True, slots=True)
class Owners:
    """Minutes of GPU and owner that the files name; those the database lacks; those it has beside them in the files' span."""

    minutes: int
    missing: int
    extra: int

    def differences(self, *, allow_extra: bool = False) -> dict[str, int]:
        """What makes a difference."""
        counts = {"owner minutes missing": self.missing, "owner minutes extra": 0 if allow_extra else self.extra}
        return {name: count for name, count in counts.items() if count}

    def line(self) -> str:
        """For people."""
        return f"owners: {self.minutes:,} minutes of a GPU; {self.missing:,} of them missing, {self.extra:,} extra"


NO_OWNERS = Owners(0, 0, 0)


def compare(
    connection: Connection, keys: Sequence[SeriesKey], own_series: Flags, series: Longs, ts: Longs, values: Doubles
) -> Owners:
    """Compare the owners of stored readings: each's place in `keys`, time, value. `own_series`: keys whose series name one."""
    if not len(series):
        return NO_OWNERS
    # Each GPU (or instance) and owner is one number.
    uses: dict[tuple[str, str, bytes], int] = {}
    numbers = np.array([uses.setdefault((key.gpu, key.instance, key.owner), len(uses)) for key in keys], np.int64)
    named = np.array([key.owner != _NOBODY for key in keys], np.bool_)[series]
    # A collector of before wrote the owner into the series; all others must have an allocation.
    must = named & ~(own_series & np.array([key.labels != key.owned for key in keys], np.bool_))[series]
    # What a scheduler tells is about all the minutes of a span.
    tells = np.array([key.metric in TELLERS for key in keys], np.bool_)[series]
    floor = queries.floor(connection) // MINUTE_US
    of_spans = _minutes(numbers[series[tells]], ts[tells], values[tells], floor)
    cells = (numbers[series] << _BITS) + ts // MINUTE_US
    expected, needed = (np.unique(np.append(cells[rows & ~tells], of_spans)) for rows in (named, must))
    all_minutes = np.append(ts // MINUTE_US, of_spans & _MINUTE)
    low, high = (int(end) * MINUTE_US for end in (all_minutes.min(), all_minutes.max()))
    tellers = sorted({TELLERS.get(keys[n].metric, "") for n in np.unique(series).tolist()})
    gpus = sorted({key.gpu for key in keys})
    span = queries.instant(low), queries.instant(high + MINUTE_US)
    holdings = [
        (uses.setdefault((gpu, instance, owner), len(uses)) << _BITS) + minutes
        for gpu, instance, owner, minutes in queries.held(connection, gpus, tellers, *span)
    ]
    there = np.unique(np.concatenate([np.empty(0, np.int64), *holdings]))
    # One series may tell an owner that others of the GPU need an allocation for: a minute that one of them tells is there.
    missing = np.setdiff1d(np.setdiff1d(needed, there), np.unique(cells[named & ~must]))
    # Before the first reading other files may have told more.
    extra = np.setdiff1d(there, expected)
    return Owners(len(expected), len(missing), int((extra & _MINUTE >= ts.min() // MINUTE_US).sum()))


def _minutes(numbers: Longs, ts: Longs, held_s: Doubles, floor: int) -> Longs:
    """The minutes since the floor that spans are about, each with its number; each span ends at its time."""
    begins = np.maximum((ts - np.round(held_s * 1_000_000).astype(np.int64)) // MINUTE_US, floor)
    ends = np.maximum((ts + MINUTE_US - 1) // MINUTE_US, begins + 1)
    pieces = [np.empty(0, np.int64)]
    for number in np.unique(numbers).tolist():
        mine = numbers == number
        reached = None
        for begin, end in sorted(zip(begins[mine].tolist(), ends[mine].tolist(), strict=True)):
            if reached is None or end > reached:
                pieces.append((number << _BITS) + np.arange(begin if reached is None else max(begin, reached), end))
                reached = end
    return np.concatenate(pieces)
