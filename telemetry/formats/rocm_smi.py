"""The CSV of `rocm-smi`, with a time before each line: a reading for each column that is a number.

docs/CSV_FORMATS.md is the specification; which column is which metric is `telemetry.readings.other_vendors`. The tool writes no
time, so whoever records it must. The file does not say its host: the settings of the source do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.stamped import Stamped, lacks
from telemetry.formats.wide import Column, Wide, by_index
from telemetry.readings.arrays import Float64s
from telemetry.readings.other_vendors import ROCM_SMI, own
from telemetry.readings.rows import Flags
from telemetry.readings.source_settings import SourceSettings

GPU, CARD = "device", "card"
SHARE = r"^[ \t]*(.*[0-9])%[ \t]*$"


@dataclass(slots=True)
class RocmSmi(Stamped):
    """The format under one header."""

    name: ClassVar = "rocm-smi"
    version: ClassVar = 2
    known_by: ClassVar = "device and columns of rocm-smi --csv, such as GPU use (%)"
    needs: ClassVar = "a time before each line; host"

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a time before it, a device and a column that is known, if the host is known."""
        if not _is_like_it(names) or lacks(names, settings):
            return None
        columns = []
        for place, name in enumerate(names[1:], 1):
            if name != GPU:
                metric, per = ROCM_SMI.get(name) or own("ROCM_SMI_", name)
                columns.append(Column(place, metric, "", name in ROCM_SMI, per))
        return cls(names, settings, columns, [names.index(GPU)], by_index(settings, CARD))

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What such a header lacks, or the settings beside it."""
        return f"it is of rocm-smi, and {lacks(names, settings)}" if _is_like_it(names) else ""

    def numbers(self, cells: pa.Array, column: Column) -> tuple[Float64s, Flags]:
        """The numbers in a column; some versions write a share as `99%`."""
        return Wide.numbers(self, pc.replace_substring_regex(cells, SHARE, r"\1"), column)


def _is_like_it(names: list[str]) -> bool:
    return GPU in names and bool(ROCM_SMI.keys() & set(names)) and len(set(names)) == len(names)
