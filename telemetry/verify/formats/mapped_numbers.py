"""The cells of a column of a wide file as numbers of its metric's unit, in fractions rounded once, at the end."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from telemetry.readings.mapping import ColumnMapping
from telemetry.readings.units import SPELLINGS
from telemetry.verify.formats.base import remember

_NONE = ("", "nan", "n/a", "not supported", "unknown error", "null", "none", "-", "--")
_SIMPLE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class Numbers:
    """How the cells of one column are read. Each distinct cell is understood once."""

    def __init__(self, unit: str, factor: Fraction, mapping: ColumnMapping) -> None:
        self._units = sorted(SPELLINGS.get(unit, (unit,)) if unit else (), key=len, reverse=True)
        self._factor = factor
        self._none = {*_NONE, *(word.lower() for word in mapping.none)}
        self._mapping = mapping
        self._known: dict[str, float | str] = {}

    def value(self, cell: str) -> float | str:
        """The number in a cell, or `blank` or `bad_value`."""
        value = self._known.get(cell)
        return remember(self._known, cell, self._read(cell)) if value is None else value

    def _read(self, cell: str) -> float | str:
        in_brackets = cell[:1] == "[" and cell[-1:] == "]" and len(cell) > 1 and "\n" not in cell
        if in_brackets or cell.lower() in self._none or cell.lower().strip("[]") in _NONE:
            return "blank"
        if not self._units:
            if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", cell):
                return self._converted(float(int(cell, 0)))
            if re.fullmatch(r"P[0-9]{1,2}", cell):
                return self._converted(float(cell[1:]))
        for unit in self._units:
            if cell.endswith(unit):
                cell = cell[: -len(unit)].rstrip(" \t")
                break
        plain = self._plain(cell)
        return "bad_value" if plain is None or not _SIMPLE.fullmatch(plain) else self._converted(float(plain))

    def _plain(self, cell: str) -> str | None:
        """A number with a point, and no marks between its digits; None if it has such marks elsewhere."""
        decimal, mark = self._mapping.decimal, self._mapping.thousands
        whole, point, fraction = cell.partition(decimal)
        if mark and mark in cell:
            first, *groups = whole.lstrip("+-").split(mark)
            signs = len(whole) - len(whole.lstrip("+-"))
            is_digits = all(each.isascii() and each.isdigit() for each in (first, *groups))
            is_in_order = signs <= 1 and 1 <= len(first) <= 3 and bool(groups) and {len(each) for each in groups} == {3}  # noqa: PLR2004
            if not is_digits or not is_in_order or not re.fullmatch(r"[0-9]*", fraction):
                return None
            whole = whole.replace(mark, "")
        elif decimal != "." and "." in cell:
            return None
        return whole + ("." if point else "") + fraction

    def _converted(self, value: float) -> float | str:
        if not math.isfinite(value):
            return "bad_value"
        try:
            converted = float(Fraction(value) * self._factor) if self._factor != 1 else value
        except OverflowError:
            return "bad_value"
        # A fraction has no zero below zero.
        return math.copysign(converted, value)
