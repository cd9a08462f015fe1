"""Reads the table of `dcgmi dmon`, a time before each line: a row to its readings, one a column.

Owns the header, its line of units, and the two words that name an entity. Which field is which metric is the catalogue's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from telemetry.readings.dcgm_fields import BY_SHORT_NAME, of_short_name
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.grammar import cells, text
from telemetry.verify.formats.stamped import StampedReader, is_time
from telemetry.verify.formats.wide import Measured, words


class DcgmiDmonReader(StampedReader):
    """The format under one header."""

    name: ClassVar = "dcgmi-dmon"
    version: ClassVar = 2

    def __init__(self, fields: list[str], rules: Rules) -> None:
        super().__init__(
            2, [Measured(n, of_short_name(name), name in BY_SHORT_NAME) for n, name in enumerate(fields, 3)], rules
        )
        self._fields = fields

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header behind a time, with a known field, if the host is known."""
        fields = _fields(names[1:])
        return cls(fields, rules) if fields and is_time(names[0]) and rules.source.host else None

    def is_header(self, behind: list[str]) -> bool:
        """The same fields, or the line of their units."""
        return _fields(behind) == self._fields or (len(behind) == 1 and words(behind[0])[:1] == ["ID"])

    def row(self, raw: bytes) -> list[str] | None:
        """The time and the words of the line; None if they are more or fewer than the fields and the entity's two."""
        stamp, line = (text(cell) for cell in cells(raw))
        parts = words(line)
        return [stamp, *parts] if len(parts) == len(self._fields) + 2 else None

    def gpu(self, row: list[str]) -> str:
        """By the number of a GPU on its host. Another entity is none."""
        return self.by_index(row[2]) if row[1] == "GPU" else "no_gpu"


def _fields(line: Sequence[str]) -> list[str]:
    parts = words(line[0]) if len(line) == 1 else []
    if parts[:1] != ["#Entity"] or len(set(parts)) < len(parts) or BY_SHORT_NAME.keys().isdisjoint(parts):
        return []
    return parts[1:]
