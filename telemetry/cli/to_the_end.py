"""Streams some files to their ends, with a bar on a terminal, and knows what was read of each.

It ends once what is at each path now is read and committed, or could not be read for a while. How that is told is
`ingested`'s.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click
import kombu.exceptions
import redis

from telemetry.cli.ingested import Failed
from telemetry.progress.state import Inode
from telemetry.streamer.followed import Failure, Followed
from telemetry.streamer.phase import READING, Draining
from telemetry.streamer.stream import Stream
from telemetry.streamer.tick import Streamer

ROUND_S = 0.25
PAUSE_S = 0.01
# A broker that is started again, or out of memory while collectors catch up; a disk that is away.
OUTAGE_S = 60.0
OUTAGE_PAUSE_S = 0.5
OUTAGES = (redis.ConnectionError, redis.TimeoutError, redis.OutOfMemoryError, kombu.exceptions.OperationalError)


@dataclass(frozen=True, slots=True)
class Files:
    """Files that a streamer reads. With `wait` they are done when all is committed, else when all is published."""

    streamer: Streamer
    followed: Followed
    paths: list[Path]
    # Those that may still be written, which the streamer is given, too; and whether one that takes their place may be.
    growing: set[str]
    is_growing: Callable[[Path], bool]
    wait: bool
    # Inode and time of change of what was at each path.
    _seen: dict[str, tuple[Inode, int]] = field(default_factory=dict)

    def stream(self, deadline_s: float | None, *, hidden: bool) -> None:
        """Stream until nothing is left to do. Raises ClickException at the deadline, and OUTAGES after a minute of them."""
        total = sum(map(_size, self.paths))
        label = "committed" if self.wait else "published"
        gone_s: float | None = None
        with click.progressbar(length=total, label=label, file=sys.stderr, hidden=hidden) as bar:
            while True:
                self._look()
                try:
                    self.streamer.discover(self.paths)
                    self.streamer.tick(ROUND_S)
                    gone_s = None
                except OUTAGES:
                    gone_s = gone_s or time.monotonic()
                    if time.monotonic() - gone_s > OUTAGE_S:
                        raise
                    time.sleep(OUTAGE_PAUSE_S)
                at = self._at()
                # What is packed is longer than its file.
                bar.length = max(total, at)
                bar.update(at - bar.pos)
                if not gone_s and self._is_done():
                    bar.update(bar.length - bar.pos)
                    return
                if deadline_s and time.monotonic() > deadline_s:
                    raise click.ClickException(f"not all {label} in time: {at:,} of {total:,} bytes; is a collector running?")
                time.sleep(PAUSE_S)

    def failed(self) -> list[Failed]:
        """The files that were not read to their ends, and why."""
        failed = {path: failure.why for path, failure in [*self.followed.failures.items(), *self.followed.unsettled.values()]}
        for stream in self.streamer.streams.values():
            path = str(stream.source.path)
            # Without --wait nobody waits for what of them is on its way.
            if isinstance(stream.phase, Draining):
                failed[path] = stream.phase.reason
            elif _is_torn(stream) and not stream.source.is_at_its_path():
                failed[path] = "its last record was not complete when it was renamed or deleted"
        never = [path for path in map(str, self.paths) if path not in self.followed.once_open and not os.path.lexists(path)]
        return [Failed(path, why) for path, why in sorted((dict.fromkeys(never, "it is gone") | failed).items())]

    def left(self) -> list[str]:
        """The growing files whose last record, or first, was left as it is not complete yet."""
        streams = self.streamer.streams.values()
        torn = [str(stream.source.path) for stream in streams if _is_torn(stream) and stream.source.is_at_its_path()]
        torn += [rest.path for rest in self.streamer.rests if not rest.is_whole]
        begun = [path for path in map(str, self.paths) if path in self.followed.empty and _size(Path(path))]
        return sorted(path for path in {*torn, *begun} if path in self.growing)

    def withdrawn(self, foreign: Iterable[str]) -> set[str]:
        """Of the ids of foreign sources those whose path has another source by now."""
        ids = {
            str(stream.source.path): name for name, stream in self.streamer.streams.items() if stream.source.is_at_its_path()
        }
        ids |= {rest.path: rest.source_id for rest in self.streamer.rests}
        reads = self.followed.reads
        return {name for name in foreign if name in reads and ids.get(reads[name].path, name) != name}

    def _look(self) -> None:
        """See whether another file has come to a path, or one was changed: it may still be written."""
        for path in self.paths:
            with suppress(OSError):
                status = path.stat()
                now = Inode.of(status), status.st_mtime_ns
                if self._seen.setdefault(str(path), now) != now and stat.S_ISREG(status.st_mode):
                    self._seen[str(path)] = now
                    (self.growing.add if self.is_growing(path) else self.growing.discard)(str(path))

    def _at(self) -> int:
        at = sum(each.window.committed if self.wait else each.window.end for each in self.streamer.streams.values())
        return at + sum(rest.committed for rest in self.streamer.rests)

    def _is_done(self) -> bool:
        streams, unsettled = self.streamer.streams.values(), self.followed.unsettled.values()
        if not all(map(self._is_read, streams)) or not all(self._is_over(*each) for each in unsettled):
            return False
        there = {each.source.inode() for each in streams} | {rest.inode for rest in self.streamer.rests}
        # Each is looked at, so that those that fail do it together.
        return not [path for path in self.paths if not self._is_settled(str(path), there)]

    def _is_read(self, stream: Stream) -> bool:
        if self.wait:
            return stream.phase == READING and stream.read_up() and stream.idle()
        # Of one that is drained nothing more is published.
        return stream.phase != READING or (stream.read_up() and not stream.holes.is_holding)

    def _is_settled(self, path: str, there: set[Inode]) -> bool:
        """Whether nothing is left to do for the file that is at a path now. `there`: those that are read up."""
        followed = self.followed
        try:
            status = os.stat(path)  # noqa: PTH116 - as it is in a tick
        except (FileNotFoundError, NotADirectoryError):
            # What was open is read up, or not settled and named.
            return True
        except OSError as error:
            if path not in followed.failures:
                followed.failed(path, error)
        else:
            inode = Inode.of(status)
            if inode in there or followed.empty.get(path) == (inode, status.st_size):
                followed.failures.pop(path, None)
                return True
            if not stat.S_ISREG(status.st_mode) and path not in followed.failures:
                followed.failed(path, OSError(errno.EINVAL, "it is no file any more"))
        failure = followed.failures.get(path)
        return failure is not None and self._is_over(path, failure)

    def _is_over(self, path: str, failure: Failure) -> bool:
        """Whether nobody waits any more for a file that failed."""
        return self.followed.is_given_up(path) or time.monotonic() - failure.since_s > OUTAGE_S


def _is_torn(stream: Stream) -> bool:
    """Whether the last record of a stream's file was left."""
    return stream.window.end < stream.seen_bytes and stream.source.head.format is not None and not stream.source.final


def _size(path: Path) -> int:
    """Bytes of a file, 0 if it is gone."""
    with suppress(OSError):
        return path.stat().st_size
    return 0
