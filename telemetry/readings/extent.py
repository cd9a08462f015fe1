"""Where a batch stands in its source: bytes, lines, and the headers by which they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """Where reading goes on: the byte offset, the line (from 1), and the offset of the header in force (0: the file's own)."""

    offset: int
    line: int
    header: int = 0


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes [start, end) of a source. `line` (from 1) begins at `start`, `end_line` at `end`; so with the headers in force."""

    start: int
    end: int
    line: int
    end_line: int
    header: int = 0
    end_header: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes in it."""
        return self.end - self.start

    @property
    def first(self) -> Place:
        """Where it begins."""
        return Place(self.start, self.line, self.header)

    @property
    def next(self) -> Place:
        """Where the batch behind it begins."""
        return Place(self.end, self.end_line, self.end_header)
