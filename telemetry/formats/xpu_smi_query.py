"""The CSV of `xpu-smi --query-gpu=… --format=csv` of version 2: a reading for each field that is a number.

docs/CSV_FORMATS.md is the specification; which field is which metric is `telemetry.readings.xpu_smi`. The file does not say
its time zone, which is UTC on any machine, and may not say its GPU: the settings of the source do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from telemetry.formats.smi import Smi
from telemetry.readings.source_settings import SourceSettings
from telemetry.readings.xpu_smi import VOCABULARY, is_of_xpu_smi


@dataclass(slots=True)
class XpuSmiQuery(Smi):
    """The format under one header."""

    name: ClassVar = "xpu-smi-query"
    version: ClassVar = 1
    known_by: ClassVar = "timestamp and fields of xpu-smi --query-gpu with their units, such as power.draw (W)"
    needs: ClassVar = "time_zone, which is UTC; host and gpu_index where the file does not name the GPU"
    fields: ClassVar = VOCABULARY

    @classmethod
    def is_like_it(cls, names: list[str], settings: SourceSettings) -> bool:
        """Whether a header is of this tool, whatever the settings lack."""
        return is_of_xpu_smi(names) and super(XpuSmiQuery, cls).is_like_it(names, settings)
