"""The CSV of `xpu-smi dump`, with a time before each line: a reading for each column that is a number.

docs/CSV_FORMATS.md is the specification; which column is which metric is `telemetry.readings.other_vendors`. The tool writes
the time of the day and no date, so whoever records it must. The file does not say its host: the settings of the source do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from telemetry.formats.stamped import Stamped, lacks
from telemetry.formats.wide import Column, by_index
from telemetry.readings.other_vendors import XPU_SMI, own
from telemetry.readings.source_settings import SourceSettings

TIME, GPU, TILE = "Timestamp", "DeviceId", "TileId"


@dataclass(slots=True)
class XpuSmi(Stamped):
    """The format under one header."""

    name: ClassVar = "xpu-smi"
    version: ClassVar = 1

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a time before it, a device and a column that is known, if the host is known."""
        if not _is_like_it(names) or lacks(names, settings):
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
        return f"it is of xpu-smi, and {lacks(names, settings)}" if _is_like_it(names) else ""


def _is_like_it(names: list[str]) -> bool:
    return GPU in names and bool(XPU_SMI.keys() & set(names)) and len(set(names)) == len(names)
