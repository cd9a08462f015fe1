"""What `nvidia-smi dmon` writes, as a table or as CSV: a reading for each column that is a number.

docs/CSV_FORMATS.md is the specification. The header stands behind a `#` and has a second line, of units, unless that was
switched off; both come again and again. Which column is which metric is `telemetry.readings.dmon`. The file does not say its
time zone nor its host: the settings of the source do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.base import SAY_SO, Pass
from telemetry.formats.days import dates
from telemetry.formats.local_times import each_local
from telemetry.formats.records import BLANKS, Records, texts
from telemetry.formats.wide import Column, Wide, by_index, words
from telemetry.readings.dmon import KNOWN, NAME, OF_PROCESS, UNITS, DmonColumn, column
from telemetry.readings.rows import Codes, Flags
from telemetry.readings.source_settings import SourceSettings

DATE, TIME, GPU = "date", "time", "gpu"


@dataclass(slots=True)
class NvidiaDmon(Wide):
    """The format under one header; `names` are those of the columns, of which a table's header is one cell."""

    name: ClassVar = "nvidia-smi-dmon"
    version: ClassVar = 2
    known_by: ClassVar = "gpu and columns of nvidia-smi dmon behind a #, as a table or as CSV"
    needs: ClassVar = "time_zone and host; date or date_from_path where its times carry none; header if it has none"

    names: list[str]

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a time, a GPU and a measurement, if the settings say the rest."""
        fields = names_in(names)
        if not _is_like_it(fields) or lacks(fields, settings):
            return None
        columns = measured(fields, UNITS, KNOWN, column)
        return cls(names, settings, columns, [fields.index(GPU)], by_index(settings), fields)

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What such a header lacks, or the settings beside it."""
        fields = names_in(names)
        return f"it is of nvidia-smi dmon, and {lacks(fields, settings)}" if _is_like_it(fields) else ""

    def repeats(self, line: bytes) -> bool | None:
        """Whether a line is this header, or the one of its units, and these are what the columns are known to have."""
        cells = texts(line)
        parts = _split(cells)
        if not parts or (len(cells) == 1) != (len(self.columns) == 1):
            return None
        if [name.lower() for name in parts] == self.names:
            return True
        if len(parts) != len(self.names):
            return False if GPU in parts else None
        return all(self.unit(name) in (unit, "") for name, unit in zip(self.names, parts, strict=True))

    def unit(self, name: str) -> str:
        """What the line of units says under a column; empty where it may say anything."""
        return UNITS.get(name) or column(name).unit

    @property
    def counts_days(self) -> bool:
        """Where there is no date."""
        return DATE not in self.names

    def cells(self, taken: Records) -> tuple[list[pa.Array], Flags]:
        """The words of each line, where it is a table."""
        return words(taken.columns[0], len(self.names)) if len(self.columns) == 1 else Wide.cells(self, taken)

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """Date and time by the clock of the zone that the settings name."""
        time = pc.utf8_trim(cells[self.names.index(TIME)], BLANKS)
        if self.counts_days:
            date = dates(self.settings.date, len(time), how)
            return each_local(pc.binary_join_element_wise(date, time, " "), self.settings.time_zone, how)
        date = pc.utf8_trim(cells[self.names.index(DATE)], BLANKS)
        date = pc.replace_substring_regex(date, r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3")
        return each_local(pc.binary_join_element_wise(date, time, " "), self.settings.time_zone, how)


def _split(cells: list[str]) -> list[str]:
    """The words behind the `#` of a header: its cells, or what stands between blanks in its only one. None: it is no header."""
    parts = re.split(r"[ \t]+", cells[0]) if len(cells) == 1 else cells
    if not parts or not parts[0].startswith("#"):
        return []
    return [word for word in [parts[0][1:].strip(BLANKS), *parts[1:]] if word]


def names_in(cells: list[str]) -> list[str]:
    """The names behind the `#` of a header, in small letters."""
    return [word.lower() for word in _split(cells)]


def measured(
    names: list[str], others: Collection[str], known: Collection[str], column: Callable[[str], DmonColumn]
) -> list[Column]:
    """The columns that measure: all but `others`. `column` says what each is."""
    meanings = [(place, name, column(name)) for place, name in enumerate(names) if name not in others]
    return [Column(place, meant.metric, meant.unit, name in known, meant.per) for place, name, meant in meanings]


def _is_like_it(names: list[str]) -> bool:
    is_named = all(NAME.fullmatch(name) for name in names) and len(set(names)) == len(names)
    return is_named and GPU in names and not OF_PROCESS & set(names) and bool(KNOWN.keys() & set(names))


def lacks(names: list[str], settings: SourceSettings, tool: str = "dmon") -> str:
    """What neither such a header says nor the settings do; empty if that is nothing."""
    if TIME not in names or (DATE not in names and names[0] != TIME):
        return f"its rows carry no time; log with one: nvidia-smi {tool} -o DT"
    needs = [] if settings.time_zone else ["its times carry no zone: time_zone"]
    if DATE not in names and not settings.date:
        needs.append("its times carry no date: date or date_from_path")
    if not settings.host:
        needs.append("it does not name its host: host")
    return ", ".join(needs) + SAY_SO if needs else ""
