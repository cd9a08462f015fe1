"""Reads what `nvidia-smi dmon` writes, the table and the CSV: a row to its readings, one a column.

Owns the header, its second line, and how date and time stand apart. Which column is which metric is the catalogue's.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from telemetry.readings import dmon
from telemetry.readings.dmon import NAME, OF_PROCESS, DmonColumn
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.grammar import cells, grammar, text, unreadable
from telemetry.verify.formats.wall_clock import instant
from telemetry.verify.formats.wide import Measured, WideReader, words


class NvidiaDmonReader(WideReader):
    """The format under one header."""

    name: ClassVar = "nvidia-smi-dmon"
    version: ClassVar = 2
    # The columns that are known, and what stands in the second line under those that are no measurement.
    known: ClassVar[dict[str, DmonColumn]] = dmon.KNOWN
    naming: ClassVar[dict[str, str]] = dmon.UNITS

    def __init__(self, columns: list[str], rules: Rules, *, is_table: bool) -> None:
        kinds = [(place, name, self.kind(name)) for place, name in enumerate(columns) if name not in self.naming]
        measured = [Measured(place, kind.metric, name in self.known, kind.per) for place, name, kind in kinds]
        super().__init__(1 if is_table else len(columns), measured, rules)
        self._columns, self._is_table = columns, is_table
        self._time, self._index = columns.index("time"), columns.index("gpu")
        self.counts_days = "date" not in columns
        self._zone = ZoneInfo(rules.source.time_zone)

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header with date, time, GPU and a measurement, if zone and host are known."""
        columns = [word.lower() for word in _heading(list(names))]
        if not all(map(NAME.fullmatch, columns)) or len(set(columns)) < len(columns) or not cls.is_of_it(columns):
            return None
        if not {"time", "gpu"}.issubset(columns) or cls.known.keys().isdisjoint(columns):
            return None
        said = rules.source
        if "date" not in columns and not (said.date and columns[0] == "time"):
            return None
        return cls(columns, rules, is_table=len(names) == 1) if said.time_zone and said.host else None

    @classmethod
    def is_of_it(cls, columns: list[str]) -> bool:
        """Whether it is not about processes."""
        return OF_PROCESS.isdisjoint(columns)

    def kind(self, name: str) -> DmonColumn:
        """What a column is."""
        return dmon.column(name)

    def repeats(self, line: bytes) -> bool | None:
        """Whether a line behind a `#` has the units of these columns; False if it has others, or is a header of others."""
        if not grammar(self.delimiter).record.fullmatch(line) or unreadable(line):
            return None
        row = [text(cell) for cell in cells(line.removesuffix(b"\n").removesuffix(b"\r"))]
        heading = _heading(row)
        if not heading or self._is_table != (len(row) == 1):
            return None
        if [word.lower() for word in heading] == self._columns:
            return True
        if len(heading) == len(self._columns):
            expected = [self.naming.get(name) or self.kind(name).unit for name in self._columns]
            return all(unit in (word, "") for unit, word in zip(expected, heading, strict=True))
        return False if "gpu" in [word.lower() for word in heading] else None

    def row(self, raw: bytes) -> list[str] | None:
        """The cells, or the words of a table's only one; None if they are more or fewer than the columns."""
        parts = [text(cell) for cell in cells(raw)]
        parts = words(parts[0]) if self._is_table else parts
        return parts if len(parts) == len(self._columns) else None

    def stamp(self, row: list[str]) -> str:
        """Date and time, a blank between them."""
        if self.counts_days:
            return f"{self.today()} {row[self._time]}"
        day = row[self._columns.index("date")]
        date = re.fullmatch(r"([0-9]{4})([0-9]{2})([0-9]{2})", day)
        return f"{'-'.join(date.groups()) if date else day} {row[self._time]}"

    def moment(self, stamp: str) -> int | str | None:
        """By the clock of the zone that the settings name."""
        return instant(stamp, self._zone)

    def gpu(self, row: list[str]) -> str:
        """By the index of the GPU on its host."""
        return self.by_index(row[self._index])


def _heading(row: list[str]) -> list[str]:
    """The words of a line that begins with `#`, without it; empty for another line."""
    parts = words(row[0]) if len(row) == 1 else row
    if not parts or not parts[0].startswith("#"):
        return []
    begin = parts[0][1:].strip(" \t")
    return ([begin] if begin else []) + [word for word in parts[1:] if word]
