"""The CSV of `nvidia-smi --query-gpu=… --format=csv`, with units or not: a reading for each field that is a number.

docs/CSV_FORMATS.md is the specification; which field is which metric is `telemetry.readings.nvidia_smi`. The file does not say
its time zone, and may not say its GPU: the settings of the source do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from telemetry.formats.smi import Smi
from telemetry.readings.hl_smi import is_of_hl_smi
from telemetry.readings.nvidia_smi import VOCABULARY
from telemetry.readings.source_settings import SourceSettings


@dataclass(slots=True)
class NvidiaSmi(Smi):
    """The format under one header."""

    name: ClassVar = "nvidia-smi"
    version: ClassVar = 2
    known_by: ClassVar = "timestamp and fields of nvidia-smi --query-gpu with their units, such as power.draw [W]"
    needs: ClassVar = "time_zone; host and gpu_index where the file does not name the GPU; header if it has none"
    fields: ClassVar = VOCABULARY

    @classmethod
    def is_like_it(cls, names: list[str], settings: SourceSettings) -> bool:
        """Whether a header is of this tool and not of hl-smi, whatever the settings lack."""
        return not is_of_hl_smi(names) and super(NvidiaSmi, cls).is_like_it(names, settings)
