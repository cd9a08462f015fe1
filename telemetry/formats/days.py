"""The days of times that carry none: the operator names that of the first row, and midnights are counted from there.

Each time is taken to be within half a day of the one before it in the file. A line has such a time if it begins with one. How
days are counted is a change of meaning: raise the versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from telemetry.formats.base import Pass
from telemetry.readings.rows import Codes

CLOCK = re.compile(rb"^[ \t]*([0-2]\d):([0-5]\d):([0-5]\d)", re.MULTILINE)
HALF_A_DAY_S = 43_200
SCAN_BYTES = 1 << 20
DAY = timedelta(days=1)


@dataclass(slots=True)
class Midnights:
    """Where in a file another day begins, as far as it was read: up to `reached`. Offsets ascend, `days` says which it is."""

    reached: int
    last_s: int = -1
    offsets: list[int] = field(default_factory=lambda: [0])
    days: list[int] = field(default_factory=lambda: [0])

    def go_on(self, block: bytes) -> None:
        """Count in the lines that follow; a last one without its end only where there is no other."""
        block = block[: block.rfind(b"\n") + 1 or len(block)]
        for match in CLOCK.finditer(block):
            hours, minutes, seconds = map(int, match.groups())
            now_s = hours * 3600 + minutes * 60 + seconds
            ahead_s = now_s - self.last_s if self.last_s >= 0 else 0
            if abs(ahead_s) > HALF_A_DAY_S:
                self.offsets.append(self.reached + match.start())
                self.days.append(self.days[-1] + (1 if ahead_s < 0 else -1))
            self.last_s = now_s
        self.reached += len(block)

    def reach(self, end: int, read: Callable[[int, int], bytes]) -> None:
        """Count in all lines before an offset at which one begins; `read` gives bytes by offset and length."""
        while self.reached < end and (block := read(self.reached, min(SCAN_BYTES, end - self.reached))):
            self.go_on(block)

    def at(self, offsets: Codes) -> Codes:
        """The days of lines that begin at some offsets, counted from the first row."""
        return np.array(self.days, np.int64)[np.searchsorted(self.offsets, offsets, side="right") - 1]


def dates(first: str, count: int, how: Pass) -> pa.Array:
    """The dates of the records that are read, where the first row of their file is of a day."""
    days = np.zeros(count, np.int64) if how.days is None else how.days
    distinct, places = np.unique(days, return_inverse=True)
    begin = date.fromisoformat(first)
    return pa.array([(begin + DAY * int(day)).isoformat() for day in distinct], pa.string()).take(pa.array(places))
