"""Compares who had which GPU: the minutes in which the files name an owner with the allocations of the database.

Nobody is not compared: readings of before revision 0009 left no trace of it. Neither are minutes missed whose readings are in
a series that names the owner itself, as collectors of before made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from telemetry.verify import queries
from telemetry.verify.files import Longs
from telemetry.verify.formats import labels
from telemetry.verify.formats.base import SeriesKey
from telemetry.verify.matching import Flags

MINUTE_US = 60_000_000
# Minutes of two thousand years fit into so many bits.
_BITS = 32
_NOBODY = labels.digest({})


@dataclass(frozen=True, slots=True)
class Owners:
    """Minutes of GPU and owner that the files name; those the database lacks; those it has beside them in the files' span."""

    minutes: int
    missing: int
    extra: int

    def differences(self, *, allow_extra: bool = False) -> dict[str, int]:
        """What makes a difference."""
        found = {"owner minutes missing": self.missing, "owner minutes extra": 0 if allow_extra else self.extra}
        return {name: count for name, count in found.items() if count}

    def line(self) -> str:
        """For people."""
        return f"owners: {self.minutes:,} minutes of a GPU; {self.missing:,} of them missing, {self.extra:,} extra"


NO_OWNERS = Owners(0, 0, 0)


def compare(connection: Connection, keys: Sequence[SeriesKey], told: Flags, series: Longs, ts: Longs) -> Owners:
    """Compare the owners of stored readings: the place of each in `keys`, and its time. `told`: keys whose series name one."""
    if not len(series):
        return NO_OWNERS
    # Each GPU (or instance) and owner is one number.
    uses: dict[tuple[str, str, bytes], int] = {}
    numbers = np.array([uses.setdefault((key.gpu, key.instance, key.owner), len(uses)) for key in keys], np.int64)
    named = np.array([key.owner != _NOBODY for key in keys], np.bool_)[series]
    # A collector of before wrote the owner into the series; all others must have an allocation.
    must = named & ~(told & np.array([key.labels != key.owned for key in keys], np.bool_))[series]
    cells = (numbers[series] << _BITS) + ts // MINUTE_US
    expected, needed = np.unique(cells[named]), np.unique(cells[must])
    low, high = (int(end) // MINUTE_US * MINUTE_US for end in (ts.min(), ts.max()))
    gpus = sorted({key.gpu for key in keys})
    found = [
        (uses.setdefault((gpu, instance, owner), len(uses)) << _BITS) + minutes
        for gpu, instance, owner, minutes in queries.held(
            connection, gpus, queries.instant(low), queries.instant(high + MINUTE_US)
        )
    ]
    there = np.unique(np.concatenate([np.empty(0, np.int64), *found]))
    # One series may tell an owner that others of the GPU need an allocation for: a minute that one of them tells is there.
    missing = np.setdiff1d(np.setdiff1d(needed, there), np.unique(cells[named & ~must]))
    return Owners(len(expected), len(missing), len(np.setdiff1d(there, expected)))
