"""Which day a row is of whose time carries none, counted from the first row: each time is near the one in the line before."""

from __future__ import annotations

import re

from telemetry.verify.formats.grammar import Bytes

_TIME = re.compile(rb"[ \t]*([0-2][0-9]):([0-5][0-9]):([0-5][0-9])")
_DAY_S = 86_400


class Days:
    """Counts the days of a file. Asked for one row after the other, it looks at each line once."""

    def __init__(self, start: int) -> None:
        self._start, self._at = start, start
        self._day, self._last = 0, 0
        self._now: int | None = None

    def of(self, data: Bytes, at: int) -> int:
        """The day of the line that begins at an offset."""
        if at < self._at:
            self._at, self._day, self._now = self._start, 0, None
        while self._at <= at:
            match = _TIME.match(data, self._at)
            if match:
                hour, minute, second = (int(part) for part in match.groups())
                self._see(hour * 3600 + minute * 60 + second)
            if self._at == at:
                self._last = self._day
            end = data.find(b"\n", self._at)
            self._at = end + 1 if end >= 0 else len(data) + 1
        return self._last

    def _see(self, now: int) -> None:
        if self._now is not None and 2 * (self._now - now) > _DAY_S:
            self._day += 1
        elif self._now is not None and 2 * (now - self._now) > _DAY_S:
            self._day -= 1
        self._now = now
