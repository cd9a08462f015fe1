"""The table of `dcgmi dmon`, with a time before each line: a reading for each column that is a number.

docs/CSV_FORMATS.md is the specification. Fields stand there by their short names, which `telemetry.readings.dcgm_fields` knows.
The tool writes no time, so whoever records it must. The file does not say its host: the settings of the source do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import pyarrow as pa

from telemetry.formats.records import Records
from telemetry.formats.stamped import Stamped, cells_behind, lacks
from telemetry.formats.wide import Column, Gpu, by_index, words
from telemetry.readings.dcgm_fields import BY_SHORT_NAME, of_short_name
from telemetry.readings.rows import Flags
from telemetry.readings.source_settings import SourceSettings

ENTITY, UNITS, BETWEEN = "#Entity", "ID", r"[ \t]+"
# Two words name an entity: GPU 0, or GPU-I 1, of which the tool does not say on which GPU it is.
KIND = "GPU"


@dataclass(slots=True)
class DcgmiDmon(Stamped):
    """The format under one header: a cell with the time, and one with the line of the table."""

    name: ClassVar = "dcgmi-dmon"
    version: ClassVar = 2
    known_by: ClassVar = "#Entity and short names of DCGM's fields, as dcgmi dmon prints them"
    needs: ClassVar = "a time before each line; host"

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header of the table with a time before it and a field that is known, if the host is known."""
        fields = _fields(names)
        if not fields or lacks(names, settings):
            return None
        # Behind the time, the kind of the entity and its number.
        columns = [Column(place, of_short_name(name), "", name in BY_SHORT_NAME) for place, name in enumerate(fields, 3)]
        of_index = by_index(settings)
        gpu: Gpu = lambda cells: of_index(cells[1:]) if cells[0] == KIND else (None, "no_gpu")  # noqa: E731
        return cls(names, settings, columns, [1, 2], gpu)

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What such a header lacks, or the settings beside it."""
        return f"it is of dcgmi dmon, and {lacks(names, settings)}" if _fields(names) else ""

    def repeats(self, line: bytes) -> bool | None:
        """Whether a line is this header behind another time, or the one of the units, or an empty line behind one."""
        behind = cells_behind(line)
        is_units = len(behind) == 1 and re.split(BETWEEN, behind[0])[0] == UNITS
        return True if is_units or (behind and _fields(["", *behind]) == _fields(self.columns)) else Stamped.repeats(self, line)

    def cells(self, taken: Records) -> tuple[list[pa.Array], Flags]:
        """The time, and the words of the line."""
        columns, odd = words(taken.columns[1], len(self.values) + 2)
        return [taken.columns[0], *columns], odd


def _fields(names: Sequence[str]) -> list[str]:
    """The short names in a header, with a time before it or without; none if one stands there twice, or it is no header."""
    parts = re.split(BETWEEN, names[-1]) if 0 < len(names) <= 2 else [""]  # noqa: PLR2004 - a time and a line
    is_it = parts[0] == ENTITY and len(set(parts)) == len(parts) and bool(BY_SHORT_NAME.keys() & set(parts))
    return parts[1:] if is_it else []
