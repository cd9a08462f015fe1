"""The CSV of `xpu-smi dump`, with a time before each line: a reading for each column that is a number.

docs/CSV_FORMATS.md is the specification; which column is which metric is `telemetry.readings.other_vendors`. The tool writes
the time of the day and no date: whoever records it does, or the settings of the source say it. These also say the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.base import SAY_SO, Pass
from telemetry.formats.days import dates
from telemetry.formats.local_times import each_local
from telemetry.formats.records import BLANKS
from telemetry.formats.stamped import NO_TIME, Stamped, lacks
from telemetry.formats.wide import Column, by_index
from telemetry.readings.other_vendors import XPU_SMI, own
from telemetry.readings.rows import Codes, Flags
from telemetry.readings.source_settings import SourceSettings

TIME, GPU, TILE = "Timestamp", "DeviceId", "TileId"


@dataclass(slots=True)
class XpuSmi(Stamped):
    """The format under one header."""

    name: ClassVar = "xpu-smi"
    version: ClassVar = 2
    known_by: ClassVar = "DeviceId and columns of xpu-smi dump, such as GPU Utilization (%)"
    needs: ClassVar = "host; a time before each line, or time_zone and date or date_from_path"

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a device and a known column, if a time stands before it or the day is known."""
        if not _is_like_it(names) or _lacks(names, settings):
            return None
        columns = []
        for place, name in enumerate(names[1:], 1):
            if name not in (TIME, GPU, TILE):
                metric, per = XPU_SMI.get(name) or own("XPU_SMI_", name)
                columns.append(Column(place, metric, "", name in XPU_SMI, per))
        of_gpu = [names.index(name) for name in (GPU, TILE) if name in names]
        return cls(names, settings, columns, of_gpu, by_index(settings, labels=["tile"]))

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What such a header lacks, or the settings beside it."""
        return f"it is of xpu-smi, and {_lacks(names, settings)}" if _is_like_it(names) else ""

    @property
    def counts_days(self) -> bool:
        """Where only the tool's own time stands there."""
        return self.columns[0] == TIME

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """The times before the lines; or those of the tool, by the clock of the zone that the settings name."""
        if not self.counts_days:
            return Stamped.times(self, cells, how)
        stamps = pc.binary_join_element_wise(dates(self.settings.date, len(cells[0]), how), pc.utf8_trim(cells[0], BLANKS), " ")
        return each_local(stamps, self.settings.time_zone, how)


def _lacks(names: list[str], settings: SourceSettings) -> str:
    """What neither such a header says nor the settings do; empty if that is nothing."""
    is_dated = names[0] == TIME and settings.date and settings.time_zone
    return lacks(names, settings, has_time=bool(is_dated)).replace(NO_TIME, f"{NO_TIME}; or say date and time_zone{SAY_SO[1:]}")


def _is_like_it(names: list[str]) -> bool:
    return GPU in names and bool(XPU_SMI.keys() & set(names)) and len(set(names)) == len(names)
