"""The CSV of `amd-smi metric` and `amd-smi monitor`, watched: a reading for each column that is a number.

docs/CSV_FORMATS.md is the specification; which column is which metric is `telemetry.readings.other_vendors`. Times are seconds
since 1970. A cell may hold a list, of one value an engine: each is a reading. The file does not say its host: the settings of
the source do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.base import Pass
from telemetry.formats.combinations import Combinations
from telemetry.formats.epochs import SECONDS, each_epoch
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.rows import Rows
from telemetry.formats.stamped import Stamped, begins_with_time, lacks
from telemetry.formats.wide import Column, Wide, by_index
from telemetry.readings.arrays import Float64s
from telemetry.readings.cells import listed
from telemetry.readings.other_vendors import OF_AMD_SMI, amd_smi, own
from telemetry.readings.rows import Codes, Flags
from telemetry.readings.source_settings import SourceSettings

TIME, GPU, PARTITION, ENGINE = "timestamp", "gpu", "xcp", "engine"
# Stands where a record has no such cell: no text of a file is it. And the reason of the reading that is not there.
NOWHERE, ABSENT = "\0", 255


@dataclass(slots=True)
class AmdSmi(Stamped):
    """The format under one header; `time` is the place of the tool's own time, -1 where it was not watching."""

    name: ClassVar = "amd-smi"
    version: ClassVar = 2
    known_by: ClassVar = "gpu and a column that only amd-smi has, such as gfx_activity"
    needs: ClassVar = "host; a time before each line where it was not watching"

    time: int
    # The columns behind those of the header: the place of a cell that held a list, and the number of an engine in it.
    engines: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a time, a GPU and a column that amd-smi alone has, if the host is known."""
        if not _is_like_it(names) or lacks(names, settings, has_time=TIME in names):
            return None
        known = amd_smi(names)
        columns = []
        for place, name in enumerate(names):
            if name not in (TIME, GPU, PARTITION) and not (place == 0 and begins_with_time(names)):
                metric, per = known.get(name) or own("AMD_SMI_", name)
                columns.append(Column(place, metric, "", name in known, per))
        labels = [PARTITION] if PARTITION in names else []
        of_gpu = [names.index(name) for name in (GPU, *labels)]
        time = names.index(TIME) if TIME in names else -1
        return cls(names, settings, columns, of_gpu, by_index(settings, labels=labels), time)

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What such a header lacks, or the settings beside it."""
        if not _is_like_it(names):
            return ""
        if TIME not in names and not begins_with_time(names):
            return "it is of amd-smi, and its rows carry no time; log with one: amd-smi metric --csv --watch 1"
        return f"it is of amd-smi, and {lacks(names, settings, has_time=True)}"

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """Those of the tool, or those before its lines."""
        return Stamped.times(self, cells, how) if self.time < 0 else each_epoch(cells[self.time], SECONDS, how)

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning; a list in a cell has as many readings as values."""
        lists = {place: by_record for place, cells in enumerate(taken.columns) if (by_record := _lists(cells))}
        self._widen({place: max(map(len, by_record)) for place, by_record in lists.items()})
        if not self.engines:
            return Wide.read(self, taken, block, how)
        columns = [
            pc.if_else(pa.array([bool(values) for values in lists[place]]), NOWHERE, cells) if place in lists else cells
            for place, cells in enumerate(taken.columns)
        ]
        nothing: list[list[str]] = [[]] * len(taken.starts)
        for place, number in self.engines:
            by_record = lists.get(place, nothing)
            columns.append(pa.array([values[number] if number < len(values) else NOWHERE for values in by_record], pa.string()))
        return Wide.read(self, replace(taken, columns=columns), block, how).without(ABSENT)

    def numbers(self, cells: pa.Array, column: Column) -> tuple[Float64s, Flags]:
        """The numbers in a column, and what is wrong with each; ABSENT where a record has no such cell."""
        values, reasons = Wide.numbers(self, cells, column)
        return values, np.where(pc.equal(cells, NOWHERE).to_numpy(zero_copy_only=False), ABSENT, reasons).astype(np.uint8)

    def _widen(self, most: dict[int, int]) -> None:
        """Make a column of each engine that is new, behind that of the whole."""
        base = [column for column in self.values if column.place < len(self.columns)]
        read = {column.place for column in base}
        engines = {(place, number) for place, count in most.items() if place in read for number in range(count)}
        if engines <= set(self.engines):
            return
        self.engines = sorted(engines | set(self.engines))
        places = {engine: at for at, engine in enumerate(self.engines, len(self.columns))}
        self.values = []
        for column in base:
            own = [each for each in self.engines if each[0] == column.place]
            self.values.append(column)
            self.values += [column._replace(place=places[each], labels=((ENGINE, str(each[1])),)) for each in own]
        self.gpus = Combinations(self.series_of)


def _lists(cells: pa.Array) -> list[list[str]]:
    """The values of the list in each cell, none of a cell that is no list; nothing at all where no cell is one."""
    if not pc.any(pc.match_substring(cells, "[")).as_py():
        return []
    lists = [listed(text.strip(BLANKS)) for text in cells.to_pylist()]
    return lists if any(lists) else []


def _is_like_it(names: list[str]) -> bool:
    return GPU in names and bool(OF_AMD_SMI & set(names)) and len(set(names)) == len(names)
