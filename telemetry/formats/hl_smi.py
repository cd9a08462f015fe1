"""The CSV of `hl-smi -Q … -f csv`, the tool of Intel Gaudi: a reading for each field that is a number.

docs/CSV_FORMATS.md is the specification; which field is which metric is `telemetry.readings.hl_smi`. Times stand there as
`date` writes them. The file may not say its GPU: the settings of the source do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from telemetry.formats.base import Pass
from telemetry.formats.local_times import each_dated
from telemetry.formats.smi import Smi
from telemetry.readings.hl_smi import VOCABULARY, is_of_hl_smi
from telemetry.readings.rows import Codes, Flags
from telemetry.readings.source_settings import SourceSettings


@dataclass(slots=True)
class HlSmi(Smi):
    """The format under one header."""

    name: ClassVar = "hl-smi"
    version: ClassVar = 2
    known_by: ClassVar = "timestamp and fields of hl-smi -Q with their units, such as utilization.aip [%]"
    needs: ClassVar = "host and gpu_index where the file does not name the GPU; time_zone where its times are not in UTC"
    fields: ClassVar = VOCABULARY
    has_zone: ClassVar = True

    @classmethod
    def is_like_it(cls, names: list[str], settings: SourceSettings) -> bool:
        """Whether a header is of this tool, whatever the settings lack."""
        return is_of_hl_smi(names) and super(HlSmi, cls).is_like_it(names, settings)

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """As `date` writes them: in UTC, or in the zone that the settings name, by the name that it has then."""
        return each_dated(cells[self.time], self.settings.time_zone, how)
