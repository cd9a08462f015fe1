"""Reads the export of KempnerPulse: a row to its readings, one a column.

Owns the header and the seconds since 1970. Which column is which metric is the catalogue's.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

from telemetry.readings.kempnerpulse import COLUMNS, is_of_pulse
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.wide import Measured, WideReader

_SECONDS = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?")


class KempnerPulseReader(WideReader):
    """The format under one header."""

    name: ClassVar = "kempnerpulse"
    version: ClassVar = 1

    def __init__(self, names: tuple[str, ...], rules: Rules) -> None:
        known = [(place, COLUMNS[name]) for place, name in enumerate(names) if name in COLUMNS]
        super().__init__(len(names), [Measured(place, to.metric, per=to.per) for place, to in known], rules)
        self._time, self._index = names.index("timestamp"), names.index("gpu_id")

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header of this tool, if the host is known."""
        return cls(names, rules) if is_of_pulse(list(names)) and rules.source.host else None

    def stamp(self, row: list[str]) -> str:
        """The cell of the time."""
        return row[self._time]

    def moment(self, stamp: str) -> int | str | None:
        """Seconds since 1970, digits after the sixth of a fraction cut off."""
        match = _SECONDS.fullmatch(stamp)
        return int(match[1]) * 1_000_000 + int((match[2] or "0")[:6].ljust(6, "0")) if match else None

    def gpu(self, row: list[str]) -> str:
        """By the index of the GPU on its host."""
        return self.by_index(row[self._index])
