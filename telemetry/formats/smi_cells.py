"""Cells as nvidia-smi and its like write them, as numbers: with a unit behind or not, masks, states, and words for yes and no.

Another reading of a cell is a change of meaning: raise the versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.records import BLANKS
from telemetry.formats.values import NUMBER
from telemetry.formats.wide import BAD_VALUE, Column
from telemetry.readings.arrays import Float64s
from telemetry.readings.rows import BLANK, Flags

# In brackets the tool says why there is no value: [N/A], [Not Supported], [Unknown Error], [GPU requires reset].
NO_VALUE = re.compile(r"\[.*\]|n/a|", re.IGNORECASE)
MASK = re.compile(r"0x[0-9a-f]{1,16}", re.IGNORECASE)
STATE = re.compile(r"P(\d{1,2})", re.ASCII)
WORDS = {"enabled": 1.0, "active": 1.0, "yes": 1.0, "disabled": 0.0, "not active": 0.0, "no": 0.0}


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
    """The number in a cell and 0; or a code of REASONS. The unit behind it is the one in the header, or none is."""
    if NO_VALUE.fullmatch(text):
        return math.nan, BLANK
    bare = text.removesuffix(f" {column.unit}") if column.unit else text
    if NUMBER.fullmatch(bare) and math.isfinite(float(bare)):
        return float(bare), 0
    if MASK.fullmatch(text):
        return float(int(text, 16)), 0
    if state := STATE.fullmatch(text):
        return float(state[1]), 0
    if text.lower() in WORDS:
        return WORDS[text.lower()], 0
    return math.nan, BAD_VALUE if column.is_known else BLANK
