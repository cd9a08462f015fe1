"""Since when the bytes of a file have been there: the facts that tell for how long a source has been behind. Pure.

A file's size is noted with the time at which it was seen, so the oldest byte that is not committed has an age. Few notes are
kept: where two are joined, the bytes of the later one count as old as those of the earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MAX_NOTES = 32


class Note(NamedTuple):
    """When a file was first seen to be so large; microseconds on the broker's clock."""

    size_bytes: int
    seen_us: int


def noted(notes: Sequence[Note], size_bytes: int, committed: int, now_us: int) -> tuple[Note, ...]:
    """The notes, oldest first, with the file's size of now and without those of committed bytes."""
    kept = [note for note in notes if committed < note.size_bytes <= size_bytes]
    if size_bytes > (kept[-1].size_bytes if kept else committed):
        kept.append(Note(size_bytes, now_us))
    if len(kept) > MAX_NOTES:
        pairs = (kept[n : n + 2] for n in range(0, len(kept), 2))
        kept = [Note(pair[-1].size_bytes, pair[0].seen_us) for pair in pairs]
    return tuple(kept)


def behind_since_us(notes: Sequence[Note], committed: int) -> int | None:
    """When the oldest byte that is not committed was first seen; None if all is committed."""
    return next((note.seen_us for note in notes if note.size_bytes > committed), None)
