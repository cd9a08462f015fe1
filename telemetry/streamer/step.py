"""A step of a stream: what it is given, what it has done, and why the source must be opened anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from telemetry.progress.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Moment:
    """What a step needs to know: the broker's clock, acknowledgements, evidence of losses, bytes and copies it may publish.

    `generation` is that of the database; empty while no collector has told it. `ahead_us`: how far the clock that is furthest
    ahead of the broker's is, of the edge's and the database's.
    """

    now_us: int
    acked: dict[str, str]
    evidence: Evidence
    room_bytes: int
    copies: int
    generation: str = ""
    ahead_us: int = 0


class Done(NamedTuple):
    """What a step has done: whether anything, and how many copies it published, a question counted as one."""

    anything: bool
    copies: int


class ChangedError(Exception):
    """A file is to be opened anew: it is no longer what it was, or must be read again."""


class EndedError(ChangedError):
    """What was read of a file is no longer there, and nothing of it is in flight any more."""


class TakenError(Exception):
    """Another streamer has taken this source; what this one knows of it is no longer true."""
