"""What readers share of files whose recorder put a time before each line: the header behind one, and lines that say nothing."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from telemetry.verify.formats.grammar import cells, grammar, text, unreadable
from telemetry.verify.formats.timestamps import microseconds
from telemetry.verify.formats.wide import WideReader


class StampedReader(WideReader):
    """Such a format under one header."""

    is_stamped: ClassVar = True

    @abstractmethod
    def is_header(self, behind: list[str]) -> bool:
        """Whether these cells, which stand behind a time, are the header once more, or another line of it."""

    def repeats(self, line: bytes) -> bool | None:
        """Whether a line is the header behind another time, or an empty one behind a time."""
        if not grammar(self.delimiter).record.fullmatch(line) or unreadable(line):
            return None
        row = [text(cell) for cell in cells(line.removesuffix(b"\n").removesuffix(b"\r"))]
        return True if is_time(row[0]) and (row[1:] == [""] or self.is_header(row[1:])) else None

    def stamp(self, row: list[str]) -> str:
        """The first cell."""
        return row[0]

    def moment(self, stamp: str) -> int | str | None:
        """RFC 3339."""
        return microseconds(stamp.encode())


def is_time(cell: str) -> bool:
    """Whether a cell is a time with a zone."""
    return microseconds(cell.encode()) is not None
