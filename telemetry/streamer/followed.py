"""What becomes of some files, for who waits for all of them, as `ingest` does.

Files change while they are streamed: they are renamed, replaced, cut, deleted, and disks fail. So what was read is kept by
source here, however often that is opened; what is wrong is kept by path, until the file that is there can be read; and which
sources were dropped with something on its way, until they are opened again.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from telemetry.progress.losses import LostRange
from telemetry.progress.state import Inode
from telemetry.streamer.stream import Stream
from telemetry.streamer.tally import Read

# A file that fails again and again is opened again after 1 s, 2 s, and so on: a minute in all.
MOST_TRIES = 6


class Failure(NamedTuple):
    """Why a file cannot be read, and since when, on the monotonic clock."""

    why: str
    since_s: float


class Listener:
    """Is told what becomes of files. A streamer that ticks on needs nothing of it: it opens a file again and again."""

    def joined(self, stream: Stream, former_id: str | None = None) -> None:
        """A source is opened, under another id than before if that is given. It has not been claimed yet."""

    def opened(self, stream: Stream) -> None:
        """A source is open, and ours."""

    def vacant(self, path: str) -> None:
        """The file at a path has no whole record."""

    def stepped(self, stream: Stream) -> None:
        """A source took a step without an error."""

    def failed(self, path: str, error: Exception) -> float:
        """The file at a path could not be read. Returns for how many seconds it is to be left alone."""
        return 0.0

    def dropped(self, stream: Stream, error: Exception) -> None:
        """A source was dropped before all of it was settled."""

    def lost(self, lost: LostRange) -> None:
        """A range of a file is lost."""


@dataclass(slots=True)
class Followed(Listener):
    """Keeps what it is told."""

    reads: dict[str, Read] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    # By source id, each with its path.
    unsettled: dict[str, tuple[str, Failure]] = field(default_factory=dict)
    losses: list[LostRange] = field(default_factory=list)
    # By path, each with the size of the file that has no record.
    empty: dict[str, tuple[Inode, int]] = field(default_factory=dict)
    once_open: set[str] = field(default_factory=set)
    _tries: dict[str, int] = field(default_factory=dict)

    def joined(self, stream: Stream, former_id: str | None = None) -> None:
        """Let a source go on counting where it was, also what is in flight."""
        before = self.reads.pop(former_id or stream.source_id, None)
        if before:
            stream.tally = before.tally
            if former_id:
                self.failures.pop(before.path, None)
            if former_id in self.unsettled:
                self.unsettled[stream.source_id] = self.unsettled.pop(former_id)
        self.reads[stream.source_id] = Read(stream.source_id, str(stream.source.path), stream.tally)

    def opened(self, stream: Stream) -> None:
        """The path holds a source, and what of it was on its way is waited for again."""
        path = str(stream.source.path)
        self.once_open.add(path)
        self.empty.pop(path, None)
        self.unsettled.pop(stream.source_id, None)

    def vacant(self, path: str) -> None:
        """Keep which file that is: another one may have records."""
        status = os.stat(path)  # noqa: PTH116 - as it is in a tick
        self.empty[path] = Inode.of(status), status.st_size

    def stepped(self, stream: Stream) -> None:
        """What was wrong with the file at its path is over."""
        path = str(stream.source.path)
        if path in self.failures and stream.source.is_at_its_path():
            del self.failures[path]

    def failed(self, path: str, error: Exception) -> float:
        """Keep why, and since when. The pause grows with each failure, however much was read between them."""
        before = self.failures.get(path)
        self.failures[path] = Failure(_said(error), before.since_s if before else time.monotonic())
        tries = self._tries[path] = self._tries.get(path, 0) + 1
        return float(2 ** min(tries - 1, MOST_TRIES - 1))

    def is_given_up(self, path: str) -> bool:
        """Whether a file failed too often."""
        return path in self.failures and self._tries.get(path, 0) > MOST_TRIES

    def dropped(self, stream: Stream, error: Exception) -> None:
        """Keep that nobody waits for what of it is on its way, if anything is."""
        if not stream.idle() or stream.window.end < stream.seen_bytes:
            self.unsettled[stream.source_id] = str(stream.source.path), Failure(_said(error), time.monotonic())

    def lost(self, lost: LostRange) -> None:
        """Keep the range, once."""
        if lost not in self.losses:
            self.losses.append(lost)


def _said(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return said or str(error) or type(error).__name__
