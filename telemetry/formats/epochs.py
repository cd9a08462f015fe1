"""Times as numbers since 1970: seconds, with a fraction or without, or microseconds.

Another reading of a time is a change of meaning: raise the versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from telemetry.formats.base import Pass
from telemetry.formats.records import BLANKS
from telemetry.formats.timestamps import believed
from telemetry.readings.rows import REASON_CODE, Codes, Flags

NUMBER = re.compile(r"(\d{1,18})(?:\.(\d{1,9}))?", re.ASCII)
# How many digits behind the point make a microsecond.
SECONDS, MICROSECONDS = 6, 0
# A number of so many digits fits into 64 bits.
LONGEST = 18


def epoch_us(text: str, digits: int) -> int | None:
    """Microseconds since 1970 of a number of that many digits behind the point, None for any other text."""
    match = NUMBER.fullmatch(text.strip(BLANKS))
    if match is None or len(match[1]) + digits > LONGEST:
        return None
    return int(match[1] + (match[2] or "").ljust(digits, "0")[:digits])


def each_epoch(column: pa.Array, digits: int, how: Pass) -> tuple[Flags, Codes]:
    """What is wrong with each time of a column (a code of REASONS, 0 for nothing), and its microseconds."""
    encoded = column.dictionary_encode()
    parsed = [epoch_us(text, digits) for text in encoded.dictionary.to_pylist()]
    instants = np.array([0 if us is None else us + how.shift_us for us in parsed], np.int64)
    flags = believed(instants, how)
    flags[np.array([us is None for us in parsed], np.bool_)] = REASON_CODE["bad_timestamp"]
    indices = encoded.indices.to_numpy()
    return flags[indices], instants[indices]
