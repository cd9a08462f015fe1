"""When each host is scraped, every interval and each host a little later than the full step; and how that is written.

Everything counts in whole microseconds, so that no two scrapes of a host round to the same time. Times are whole
seconds where start and interval are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

SECOND = 1_000_000
MILLISECOND = 1000
SPREAD_US = 4 * SECOND


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps of a run: step k of a host lies `k * interval_us` and its phase after the start."""

    start_us: int
    interval_us: int

    @property
    def unit_us(self) -> int:
        """The finest unit of time that is written: a second, a millisecond or a microsecond."""
        for unit in (SECOND, MILLISECOND):
            if self.start_us % unit == 0 and self.interval_us % unit == 0:
                return unit
        return 1

    def step_us(self, step: int) -> int:
        """When a step begins."""
        return self.start_us + step * self.interval_us

    def phase_us(self, host: str) -> int:
        """How much later than the step a host is scraped: less than the interval, so rows of two steps never mix."""
        places = max(1, min(SPREAD_US, self.interval_us) // self.unit_us)
        digest = hashlib.blake2b(host.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % places * self.unit_us

    def steps_until(self, time_us: int) -> int:
        """How many steps begin at or before a time."""
        return max(0, (time_us - self.start_us) // self.interval_us + 1)

    def without(self, steps: int) -> Self:
        """The same timeline without its first steps."""
        return replace(self, start_us=self.step_us(steps))

    def stamp(self, time_us: int) -> bytes:
        """A time in RFC 3339, with as many digits as the unit needs."""
        seconds, rest = divmod(time_us, SECOND)
        text = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
        if self.unit_us == SECOND:
            return f"{text}Z".encode()
        if self.unit_us == MILLISECOND:
            return f"{text}.{rest // MILLISECOND:03d}Z".encode()
        return f"{text}.{rest:06d}Z".encode()
