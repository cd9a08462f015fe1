"""A raw value cell to a number, or to the reason why it has none. An exporter's own "no value" is left to its reader."""

from __future__ import annotations

import math
import re

from telemetry.verify.formats.grammar import unquoted

_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NO_VALUE = frozenset(
    {b"", b"nan", b"n/a", b"not supported", b"unknown error", b"null", b"none", b"-", b"--"},
)


def number(cell: bytes) -> float | str:
    """The number in a raw value cell, or `blank` or `bad_value`."""
    return number_in(unquoted(cell).strip(b" \t"))


def number_in(bare: bytes) -> float | str:
    """The number in a cell that has shed its quotes and blanks, or `blank` or `bad_value`."""
    if not _NUMBER.fullmatch(bare):
        return "blank" if bare.strip(b"[]").lower() in _NO_VALUE else "bad_value"
    value = float(bare)
    return value if math.isfinite(value) else "bad_value"
