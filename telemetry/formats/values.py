"""Columns of cells as numbers: which are numbers, which say that there is no value, which are neither.

`telemetry.readings.cells` reads one cell.
The numbers by which an exporter says "no value" are its format's business, such as DCGM's sentinels in `dcgm`.
Another reading of a cell is a change of meaning: raise the versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.records import BLANKS
from telemetry.readings.arrays import Bools, Float64s
from telemetry.readings.cells import BRACKETS, NO_VALUE, NUMBER

WORDS = pa.array(NO_VALUE)


def parse_values(column: pa.Array) -> tuple[Float64s, Bools, Bools]:
    """The numbers of a column of text, which cells are blank, and which are no finite decimal number; an entry a cell."""
    cells = pc.utf8_trim(column, BLANKS)
    blank = pc.is_in(pc.ascii_lower(pc.utf8_trim(cells, BRACKETS)), WORDS).to_numpy(zero_copy_only=False)
    try:
        values = pc.cast(pc.if_else(pa.array(blank), "0", cells), pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        values = np.array([_number(cell) for cell in cells.to_pylist()], np.float64)
    return values, blank, ~np.isfinite(values) & ~blank


def _number(cell: str) -> float:
    return float(cell) if NUMBER.fullmatch(cell) else math.nan
