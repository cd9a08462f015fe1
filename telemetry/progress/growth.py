"""Since when the bytes of a file have been there: what tells how long a source is behind. Pure.

A file's size is noted with the time it was seen, so the oldest byte that is not committed has an age. Few notes are kept: where
two are joined, the bytes of the later one count as old as those of the earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST = 32


@dataclass(frozen=True, slots=True)
class Growth:
    """Notes (size, microseconds on the broker's clock), oldest first: when the file was first seen to be so large."""

    notes: tuple[tuple[int, int], ...] = ()

    def noted(self, size: int, committed: int, now_us: int) -> Growth:
        """With the file's size of now, and without what is committed."""
        notes = [note for note in self.notes if committed < note[0] <= size]
        if size > (notes[-1][0] if notes else committed):
            notes.append((size, now_us))
        if len(notes) > MOST:
            notes = [(notes[n + 1][0] if n + 1 < len(notes) else notes[n][0], notes[n][1]) for n in range(0, len(notes), 2)]
        return Growth(tuple(notes))

    def to_json(self) -> list[list[int]]:
        """As JSON holds it."""
        return [list(note) for note in self.notes]

    @classmethod
    def from_json(cls, notes: Sequence[Sequence[int]]) -> Growth:
        """The growth that `to_json` wrote."""
        return cls(tuple((size, at_us) for size, at_us in notes))


def behind_since_us(notes: Sequence[Sequence[int]], committed: int) -> int | None:
    """When the oldest byte that is not committed was first seen; None if all is committed."""
    return next((at_us for size, at_us in notes if size > committed), None)
