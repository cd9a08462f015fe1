"""Values: which cells are numbers, which are the exporter's "no value", which are neither."""

from __future__ import annotations

import math
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NO_VALUE = pa.array(["", "nan", "n/a"])

# DCGM's BLANK, NOT_FOUND, NOT_SUPPORTED and NOT_PERMISSIONED (dcgm_structs.h). The 64-bit four are one double.
INT32_SENTINELS = 2_147_483_632 + np.arange(4, dtype=np.float64)
FP64_SENTINELS = 140_737_488_355_328 + np.arange(4, dtype=np.float64)
INT64_SENTINEL = float(1 << 63)

Flags = NDArray[np.bool_]


def parse_values(column: pa.Array, counters: Flags) -> tuple[NDArray[np.float64], Flags, Flags]:
    """Numbers, which rows are blank, and which are no finite number. `counters` says which rows count in 64 bits."""
    cells = pc.utf8_trim(column, " \t")
    blank = pc.is_in(pc.ascii_lower(cells), NO_VALUE).to_numpy(zero_copy_only=False)
    try:
        values = pc.cast(pc.if_else(pa.array(blank), "0", cells), pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        values = np.array([_number(cell) for cell in cells.to_pylist()], np.float64)
    bad = ~np.isfinite(values)
    blank = blank | (values == INT64_SENTINEL) | np.isin(values, FP64_SENTINELS)
    blank |= ~counters & np.isin(values, INT32_SENTINELS)
    return values, blank, bad & ~blank


def _number(cell: str) -> float:
    return float(cell) if NUMBER.fullmatch(cell) else math.nan
