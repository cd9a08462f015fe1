"""Columns of nvidia-smi and its like as numbers: with a unit behind or not, masks, states, and words for yes and no.

`telemetry.readings.cells` reads one cell. Another reading is a change of meaning: raise the versions as
`telemetry.formats.base` says.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.records import BLANKS
from telemetry.formats.wide import BAD_VALUE, Column
from telemetry.readings.arrays import Float64s
from telemetry.readings.cells import smi_number
from telemetry.readings.rows import BLANK, Flags


def smi_numbers(cells: pa.Array, column: Column) -> tuple[Float64s, Flags]:
    """The numbers of a column, and what is wrong with each."""
    encoded = cells.dictionary_encode()
    texts, indices = pc.utf8_trim(encoded.dictionary, BLANKS), encoded.indices.to_numpy()
    try:
        bare = pc.replace_substring_regex(texts, f" {re.escape(column.unit)}$", "") if column.unit else texts
        values = pc.cast(bare, pa.float64()).to_numpy()
        if np.isfinite(values).all():
            return values[indices], np.zeros(len(indices), np.uint8)
    except pa.ArrowInvalid:
        pass
    read = [_number(text, column) for text in texts.to_pylist()]
    return np.array([value for value, _ in read])[indices], np.array([reason for _, reason in read], np.uint8)[indices]


def _number(text: str, column: Column) -> tuple[float, int]:
    """The number in a cell and 0; or a code of REASONS."""
    try:
        value = smi_number(text, column.unit)
    except ValueError:
        return math.nan, BAD_VALUE if column.is_known else BLANK
    return value, BLANK if math.isnan(value) else 0
