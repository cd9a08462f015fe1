"""What formats share whose tool writes no time that is one, where whoever records it puts one before each line.

`rocm-smi --csv | ts '%FT%T%z,'` does so with the header, too, and with empty lines. The time is RFC 3339, in the first cell.
Another reading of it is a change of meaning: raise the versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from telemetry.formats.base import SAY_SO, Pass
from telemetry.formats.records import texts
from telemetry.formats.timestamps import judge, parse_us
from telemetry.formats.wide import Wide
from telemetry.readings.rows import Codes, Flags
from telemetry.readings.source_settings import SourceSettings

NO_TIME = "its rows carry no time that has a date; put one before each line: … | ts '%FT%T%z,'"


@dataclass(slots=True)
class Stamped(Wide):
    """Such a format under one header."""

    is_stamped: ClassVar = True

    def repeats(self, line: bytes) -> bool | None:
        """Whether a line is this header behind another time, or an empty line behind one."""
        behind = cells_behind(line)
        return True if behind in ([""], list(self.columns[1:])) else None

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """The times in the first cells."""
        encoded = cells[0].dictionary_encode()
        flags, instants = judge(encoded.dictionary.to_pylist(), how)
        indices = encoded.indices.to_numpy()
        return flags[indices], instants[indices]


def cells_behind(line: bytes) -> list[str]:
    """The cells of a line behind the time in its first; none of any other line."""
    cells = texts(line)
    return cells[1:] if begins_with_time(cells) else []


def begins_with_time(names: list[str]) -> bool:
    """Whether a time stands before a header."""
    return bool(names) and parse_us(names[0]) is not None


def lacks(names: list[str], settings: SourceSettings, *, has_time: bool = False) -> str:
    """What neither a header of such a tool says nor the settings do; empty if that is nothing."""
    if not has_time and not begins_with_time(names):
        return NO_TIME
    return "" if settings.host else f"it does not name its host: host{SAY_SO}"
