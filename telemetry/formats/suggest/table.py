"""The first records of a file as a table: its delimiter, the names of its columns, and their cells."""

from __future__ import annotations

import re
from dataclasses import dataclass

from telemetry.formats import records
from telemetry.formats.heads import PREAMBLE
from telemetry.formats.local_times import LOCAL
from telemetry.formats.misses import miss
from telemetry.formats.records import BLANKS, BYTE_ORDER_MARK, PLAIN
from telemetry.formats.timestamps import parse_us
from telemetry.readings.source_settings import NO_SETTINGS

ROWS = 200
LIMIT = 1 << 16
# A cell that is no name of a column: a number, or a time.
NO_NAME = re.compile(r"[+-]?[\d.,:/ TZ-]*\d[\d.,:/ TZ-]*(?: ?(?:%|[A-Za-z]{1,3}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file by their names, each with its cells stripped of blanks, and what separates them.

    `misfits` is how many of the first lines are no records under these names.
    """

    delimiter: str
    names: list[str]
    columns: list[list[str]]
    misfits: int

    def cells(self, name: str) -> list[str]:
        """The cells of a column that hold something."""
        return [cell for cell in self.columns[self.names.index(name)] if cell]


class NoSuggestionError(ValueError):
    """Why nothing can be suggested, with what to do."""


def table(head: bytes) -> Table:
    """The table that a file begins with. Raises NoSuggestionError."""
    start = len(BYTE_ORDER_MARK) if head.startswith(BYTE_ORDER_MARK) else 0
    above = PREAMBLE.match(head, start)
    start = above.end() if above else start
    tables = [cut for delimiter in PLAIN if (cut := _cut(head[start:], delimiter))]
    if not tables:
        raise NoSuggestionError(f"it is no table of records: {miss(head, start, NO_SETTINGS).partition('; if it is')[0]}")
    best = max(tables, key=lambda cut: (len(cut.columns[0]) > 0, len(cut.names)))
    if all(NO_NAME.fullmatch(name) or not name for name in best.names) or any(map(is_time, best.names)):
        raise NoSuggestionError(
            "its first line has no names of columns: say them with header in a [[source]], or put a line with them above it"
        )
    if not best.columns[0] and best.misfits:
        raise NoSuggestionError(
            f"no line under its first has {len(best.names)} fields, as many as that has names: mend its writer"
        )
    if not best.columns[0]:
        raise NoSuggestionError("it has no records under its first line yet")
    return best


def is_time(cell: str) -> bool:
    """Whether a cell is a time of a day that it names."""
    return (
        bool(LOCAL.fullmatch(cell)) or parse_us(cell) is not None or bool(re.fullmatch(r"\d{10,19}(?:\.\d+)?", cell, re.ASCII))
    )


def _cut(data: bytes, delimiter: str) -> Table | None:
    cells, end = records.first(data, max_record=LIMIT, final=True, delimiter=delimiter)
    if not cells or len(cells) == 1 or end <= 0:
        return None
    if not records.is_text(b",".join(cells)):
        return None
    names = [records.decoded(cell).strip(BLANKS) for cell in cells]
    taken = records.split(data[end:], columns=len(names), limit=ROWS, max_record=LIMIT, final=True, delimiter=delimiter)
    columns = [[cell.strip(BLANKS) for cell in column.to_pylist()] for column in taken.columns]
    # A header that comes again is no record.
    again = [row for row in zip(*columns, strict=True) if list(row) != names]
    cells_of = [list(column) for column in zip(*again, strict=True)] or [[] for _ in names]
    return Table(delimiter, names, cells_of, len(taken.malformed))
