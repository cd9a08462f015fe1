"""Stretches of time without any reading of a GPU, from the minutes in which it was read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

Silence = tuple[datetime, datetime | None]


def silences(read: Sequence[tuple[datetime, datetime]], silent_after: timedelta, now: datetime) -> list[Silence]:
    """The pauses between stretches of minutes, in order of time, that are longer than allowed; the last may go on."""
    pauses: list[Silence] = [(end, begin) for (_, end), (begin, _) in pairwise(read) if begin - end > silent_after]
    last = read[-1][1] if read else now
    return [*pauses, (last, None)] if now - last > silent_after else pauses
