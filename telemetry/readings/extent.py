"""The stretch of a source that a batch covers: bytes, and the lines they begin and end at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes [start, end) of a source. `line` (from 1) begins at `start`, `end_line` at `end`."""

    start: int
    end: int
    line: int
    end_line: int

    @property
    def size_bytes(self) -> int:
        """Bytes in it."""
        return self.end - self.start
