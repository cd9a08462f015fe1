"""Reads what `xpu-smi dump` writes, a time before each line: a row to its readings, one a column.

Owns the header. Which column is which metric is the catalogue's.
"""

from __future__ import annotations

from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from telemetry.readings.other_vendors import XPU_SMI, own
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.stamped import StampedReader, is_time
from telemetry.verify.formats.wall_clock import instant
from telemetry.verify.formats.wide import Measured

# They say when and of which device a row is.
_NAMING = ("Timestamp", "DeviceId", "TileId")


class XpuSmiReader(StampedReader):
    """The format under one header."""

    name: ClassVar = "xpu-smi"
    version: ClassVar = 2

    def __init__(self, names: tuple[str, ...], rules: Rules) -> None:
        kinds = [(place, name, XPU_SMI.get(name) or own("XPU_SMI_", name)) for place, name in enumerate(names)]
        measured = [Measured(place, to.metric, name in XPU_SMI, to.per) for place, name, to in kinds[1:] if name not in _NAMING]
        super().__init__(len(names), measured, rules)
        self._names = list(names)
        self.counts_days = names[0] == "Timestamp"

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header behind a time, with a device and a known column, if the host is known."""
        if "DeviceId" not in names or XPU_SMI.keys().isdisjoint(names) or len(set(names)) < len(names):
            return None
        is_dated = names[0] == "Timestamp" and rules.source.date and rules.source.time_zone
        return cls(names, rules) if (is_time(names[0]) or is_dated) and rules.source.host else None

    def is_header(self, behind: list[str]) -> bool:
        """The same names."""
        return behind == self._names[1:]

    def stamp(self, row: list[str]) -> str:
        """The time before the line, or the tool's own with the day it is of."""
        return f"{self.today()} {row[0]}" if self.counts_days else row[0]

    def moment(self, stamp: str) -> int | str | None:
        """RFC 3339, or by the clock of the zone that the settings name."""
        return instant(stamp, ZoneInfo(self.rules.source.time_zone)) if self.counts_days else super().moment(stamp)

    def gpu(self, row: list[str]) -> str:
        """By the number of the device on its host."""
        return self.by_index(row[self._names.index("DeviceId")])

    def labels(self, row: list[str]) -> dict[str, str]:
        """The tile of the device, where each has its row."""
        return {"tile": row[self._names.index("TileId")]} if "TileId" in self._names else {}
