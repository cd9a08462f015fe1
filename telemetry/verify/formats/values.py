"""A raw value cell to a number, or to the reason why it has none. Which metrics are counters is left to `dcgm`.

The sentinels are those of DCGM (dcgm_structs.h): BLANK, NOT_FOUND, NOT_SUPPORTED, NOT_PERMISSIONED.
"""

from __future__ import annotations

import math
import re

from telemetry.verify.formats.grammar import unquoted

_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NO_VALUE = frozenset({b"", b"nan", b"n/a"})
_SENTINELS_32 = frozenset(float(2147483632 + n) for n in range(4))
_SENTINELS = frozenset({2.0**63, *(float(140737488355328 + n) for n in range(4))})


def number(cell: bytes, *, is_counter: bool) -> float | str:
    """The number in a raw value cell, or `blank` or `bad_value`."""
    bare = unquoted(cell).strip(b" \t")
    if not _NUMBER.fullmatch(bare):
        return "blank" if bare.lower() in _NO_VALUE else "bad_value"
    value = float(bare)
    if value in _SENTINELS or (not is_counter and value in _SENTINELS_32):
        return "blank"
    return value if math.isfinite(value) else "bad_value"
