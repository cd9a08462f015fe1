"""Cells of DCGM as numbers: some numbers say that there is no value.

Another reading of a cell is a change of meaning: raise the versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from telemetry.formats.values import parse_values
from telemetry.readings.arrays import Bools, Float64s

# DCGM's BLANK, NOT_FOUND, NOT_SUPPORTED and NOT_PERMISSIONED (dcgm_structs.h). The 64-bit four are one double.
INT32_SENTINELS = 2_147_483_632 + np.arange(4, dtype=np.float64)
FP64_SENTINELS = 140_737_488_355_328 + np.arange(4, dtype=np.float64)
INT64_SENTINEL = float(1 << 63)


def parse_dcgm(column: pa.Array, counters: Bools) -> tuple[Float64s, Bools, Bools]:
    """As `values.parse_values`; `counters` are the cells of metrics that count in 64 bits."""
    numbers, blank, bad = parse_values(column)
    return numbers, blank | sentinels(numbers, counters), bad


def sentinels(numbers: Float64s, counters: Bools) -> Bools:
    """Which of some numbers say "no value" in DCGM. A counter of 64 bits passes through those that say so in 32."""
    wide = (numbers == INT64_SENTINEL) | np.isin(numbers, FP64_SENTINELS)
    none: Bools = wide | (~counters & np.isin(numbers, INT32_SENTINELS))
    return none
