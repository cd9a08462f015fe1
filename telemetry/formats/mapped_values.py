"""Cells of a wide file as numbers: with a unit behind them, with thousands apart, or words for no value.

Another reading of a cell is a change of meaning: raise `Mapped.version`, as `telemetry.formats.base` says.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.records import BLANKS
from telemetry.readings.arrays import Float64s
from telemetry.readings.cells import BRACKETS, MASK, NO_VALUE, NUMBER, STATE
from telemetry.readings.mapping import ColumnMapping
from telemetry.readings.rows import BLANK, REASON_CODE, Flags
from telemetry.readings.units import SPELLINGS, Conversion

BAD_VALUE = REASON_CODE["bad_value"]
WORDS = frozenset(NO_VALUE)
IN_BRACKETS = re.compile(r"\[.*\]")


class Spelling(NamedTuple):
    """How the cells of a column write a number: the spellings of the unit behind it, and what a mapping says of numbers."""

    units: tuple[str, ...]
    decimal: str
    thousands: str
    none: frozenset[str]

    @classmethod
    def of(cls, unit: str, mapping: ColumnMapping) -> Spelling:
        """That of a column whose cells have this unit."""
        units = SPELLINGS.get(unit, (unit,) if unit else ())
        return cls(units, mapping.decimal, mapping.thousands, frozenset(word.lower() for word in mapping.none))


def numbers(cells: pa.Array, spelling: Spelling, conversion: Conversion) -> tuple[Float64s, Flags]:
    """The numbers of a column in the unit of its metric, and what is wrong with each."""
    encoded = cells.dictionary_encode()
    texts, indices = pc.utf8_trim(encoded.dictionary, BLANKS), encoded.indices.to_numpy()
    values, reasons = _all_plain(texts, spelling) or _read(texts, spelling)
    with np.errstate(over="ignore"):
        values = values * conversion.times / conversion.over
    reasons[(reasons == 0) & ~np.isfinite(values)] = BAD_VALUE
    return values[indices], reasons[indices]


def _all_plain(texts: pa.Array, spelling: Spelling) -> tuple[Float64s, Flags] | None:
    """Cells that are all numbers and nothing else, None if they are not."""
    if spelling.decimal != "." or spelling.none:
        return None
    try:
        values = pc.cast(texts, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    # Words such as nan have passed as numbers.
    return (values, np.zeros(len(values), np.uint8)) if np.isfinite(values).all() else None


def _read(texts: pa.Array, spelling: Spelling) -> tuple[Float64s, Flags]:
    read = [number(text, spelling) for text in texts.to_pylist()]
    return np.array([value for value, _ in read], np.float64), np.array([reason for _, reason in read], np.uint8)


def number(text: str, spelling: Spelling) -> tuple[float, int]:
    """The number in a cell and 0; or a code of REASONS."""
    lower = text.lower()
    if lower.strip(BRACKETS) in WORDS or lower in spelling.none or IN_BRACKETS.fullmatch(text):
        return math.nan, BLANK
    if not spelling.units and MASK.fullmatch(text):
        return float(int(text, 16)), 0
    if not spelling.units and (state := STATE.fullmatch(text)):
        return float(state[1]), 0
    unit = max((each for each in spelling.units if text.endswith(each)), key=len, default="")
    bare = text.removesuffix(unit).rstrip(BLANKS)
    if spelling.thousands and spelling.thousands in bare:
        if not _in_thousands(spelling.thousands, spelling.decimal).fullmatch(bare):
            return math.nan, BAD_VALUE
        bare = bare.replace(spelling.thousands, "")
    if spelling.decimal != "." and "." in bare:
        return math.nan, BAD_VALUE
    bare = bare.replace(spelling.decimal, ".")
    return (float(bare), 0) if NUMBER.fullmatch(bare) else (math.nan, BAD_VALUE)


@lru_cache(maxsize=64)
def _in_thousands(thousands: str, decimal: str) -> re.Pattern[str]:
    return re.compile(rf"[+-]?\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+(?:{re.escape(decimal)}\d*)?", re.ASCII)
