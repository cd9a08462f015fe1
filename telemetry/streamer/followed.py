"""What becomes of some files, for who waits for all of them, as `ingest` does.

Files change while they are streamed: they are renamed, replaced, cut, deleted, and disks fail. So what was read is kept by
source here, however often that is opened, and what is wrong with a file by its path, until it is read again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from telemetry.progress.losses import LostRange
from telemetry.streamer.stream import Stream
from telemetry.streamer.tally import Read


class Failure(NamedTuple):
    """Why a file cannot be read, and since when, on the monotonic clock."""

    why: str
    since_s: float


class Listener:
    """Is told what becomes of files. A streamer that ticks on needs nothing of it: it opens a file again and again."""

    def joined(self, stream: Stream, former_id: str | None = None) -> None:
        """A source is opened, under another id than before if that is given. It has not been claimed yet."""

    def opened(self, path: str) -> None:
        """A source is open."""

    def vacant(self, path: str) -> None:
        """The file at a path has no whole record."""

    def stepped(self, path: str) -> None:
        """A source could be read."""

    def failed(self, path: str, error: Exception) -> None:
        """A source was dropped, or not opened, with something left to do."""

    def lost(self, lost: LostRange) -> None:
        """A range of a file is lost."""


@dataclass(slots=True)
class Followed(Listener):
    """Keeps what it is told: what was read, by source id; what is wrong, and what was there, by path; what is lost."""

    reads: dict[str, Read] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    losses: list[LostRange] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)

    def joined(self, stream: Stream, former_id: str | None = None) -> None:
        """Let a source go on counting where it was, also what is in flight."""
        before = self.reads.pop(former_id or stream.source_id, None)
        if before:
            stream.tally = before.tally
        self.reads[stream.source_id] = Read(stream.source_id, str(stream.source.path), stream.tally)

    def opened(self, path: str) -> None:
        """Its path is known from now on."""
        self.empty.discard(path)
        self.known.add(path)

    def vacant(self, path: str) -> None:
        """Nothing is to be read there for now."""
        self.empty.add(path)

    def stepped(self, path: str) -> None:
        """Whatever was wrong with it is over."""
        self.failures.pop(path, None)

    def failed(self, path: str, error: Exception) -> None:
        """Keep why, and since when."""
        said = error.strerror if isinstance(error, OSError) else None
        before = self.failures.get(path)
        self.failures[path] = Failure(
            said or str(error) or type(error).__name__, before.since_s if before else time.monotonic()
        )

    def lost(self, lost: LostRange) -> None:
        """Keep the range, once."""
        if lost not in self.losses:
            self.losses.append(lost)
