"""The CSV of `kempnerpulse --export`: a reading for each column that is a number.

docs/CSV_FORMATS.md is the specification; which column is which metric is `telemetry.readings.kempnerpulse`. Times are seconds
since 1970. The file does not say its host: the settings of the source do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import pyarrow as pa

from telemetry.formats.base import SAY_SO, Pass
from telemetry.formats.dcgm_series import named
from telemetry.formats.epochs import SECONDS, each_epoch
from telemetry.formats.wide import Column, Gpu, Wide, by_index
from telemetry.readings.kempnerpulse import COLUMNS, is_of_pulse
from telemetry.readings.rows import Codes, Flags
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import SourceSettings

TIME, GPU, MODEL = "timestamp", "gpu_id", "model"


@dataclass(slots=True)
class KempnerPulse(Wide):
    """The format under one header."""

    name: ClassVar = "kempnerpulse"
    version: ClassVar = 1
    known_by: ClassVar = "timestamp, gpu_id and columns of kempnerpulse --export, such as real_util_pct"
    needs: ClassVar = "host"

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header of this tool, if the settings name the host."""
        if not is_of_pulse(names) or not settings.host:
            return None
        columns = [
            Column(place, COLUMNS[name].metric, "", True, COLUMNS[name].per)
            for place, name in enumerate(names)
            if name in COLUMNS
        ]
        of_gpu = [names.index(name) for name in (GPU, MODEL) if name in names]
        return cls(names, settings, columns, of_gpu, _gpu(settings))

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:  # noqa: ARG003 - one that has a host is read
        """That the host must be named beside such a header."""
        return f"it is of {cls.name}, and it does not name its host: host{SAY_SO}" if is_of_pulse(names) else ""

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """Seconds since 1970."""
        return each_epoch(cells[self.columns.index(TIME)], SECONDS, how)


def _gpu(settings: SourceSettings) -> Gpu:
    bare = by_index(settings)

    def gpu(cells: tuple[str, ...]) -> tuple[SeriesKey | None, str]:
        key, reason = bare(cells)
        return (replace(key, model=named(cells[1])) if key and cells[1:] else key), reason

    return gpu
