"""The CSV of `amd-smi metric` and `amd-smi monitor`, watched: a reading for each column that is a number.

docs/CSV_FORMATS.md is the specification; which column is which metric is `telemetry.readings.other_vendors`. Times are seconds
since 1970. The file does not say its host: the settings of the source do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import pyarrow as pa

from telemetry.formats.base import Pass
from telemetry.formats.epochs import SECONDS, each_epoch
from telemetry.formats.stamped import Stamped, begins_with_time, lacks
from telemetry.formats.wide import Column, by_index
from telemetry.readings.other_vendors import OF_AMD_SMI, amd_smi, own
from telemetry.readings.rows import Codes, Flags
from telemetry.readings.source_settings import SourceSettings

TIME, GPU, PARTITION = "timestamp", "gpu", "xcp"


@dataclass(slots=True)
class AmdSmi(Stamped):
    """The format under one header; `time` is the place of the tool's own time, -1 where it was not watching."""

    name: ClassVar = "amd-smi"
    version: ClassVar = 2
    known_by: ClassVar = "gpu and a column that only amd-smi has, such as gfx_activity"
    needs: ClassVar = "host; a time before each line where it was not watching"

    time: int

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


def _is_like_it(names: list[str]) -> bool:
    return GPU in names and bool(OF_AMD_SMI & set(names)) and len(set(names)) == len(names)
