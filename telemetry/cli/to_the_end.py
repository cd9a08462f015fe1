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
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import kombu.exceptions
import redis

from telemetry.cli.ingested import Failed
from telemetry.progress.state import Inode
from telemetry.streamer.followed import Followed
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
    wait: bool

    def stream(self, deadline_s: float | None, *, hidden: bool) -> None:
        """Stream until nothing is left to do. Raises ClickException at the deadline, and OUTAGES after a minute of them."""
        total = sum(map(_size, self.paths))
        label = "committed" if self.wait else "published"
        gone_s: float | None = None
        with click.progressbar(length=total, label=label, file=sys.stderr, hidden=hidden) as bar:
            while True:
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
        failed = {path: failure.why for path, failure in self.followed.failures.items()}
        # Without --wait nobody waits for what of them is on its way.
        streams = self.streamer.streams.values()
        failed |= {str(each.source.path): each.phase.reason for each in streams if isinstance(each.phase, Draining)}
        never = [str(path) for path in self.paths if str(path) not in self.followed.known and not os.path.lexists(path)]
        failed |= {path: "it is gone" for path in never if path not in failed}
        return [Failed(path, why) for path, why in sorted(failed.items())]

    def left(self, foreign: Collection[str]) -> list[str]:
        """The growing files whose last record, or first, was left as it is not complete yet."""
        streams = self.streamer.streams.values()
        torn = [
            str(stream.source.path)
            for stream in streams
            if stream.window.end < stream.seen_bytes and stream.source_id not in foreign and stream.source.is_at_its_path()
        ]
        torn += [
            rest.path for rest in self.streamer.rests if rest.committed < rest.stamp.size and rest.source_id not in foreign
        ]
        begun = [path for path in map(str, self.paths) if path in self.followed.empty and _size(Path(path))]
        return sorted(path for path in {*torn, *begun} if path in self.streamer.growing)

    def _at(self) -> int:
        at = sum(each.window.committed if self.wait else each.window.end for each in self.streamer.streams.values())
        return at + sum(rest.committed for rest in self.streamer.rests)

    def _is_done(self) -> bool:
        if not all(map(self._is_read, self.streamer.streams.values())):
            return False
        there = {(str(each.source.path), each.source.inode()) for each in self.streamer.streams.values()}
        there |= {(rest.path, rest.inode) for rest in self.streamer.rests}
        return all(self._is_settled(str(path), there) for path in self.paths)

    def _is_read(self, stream: Stream) -> bool:
        if self.wait:
            return stream.phase == READING and stream.read_up() and stream.idle()
        # Of one that is drained nothing more is published.
        return stream.phase != READING or stream.read_up()

    def _is_settled(self, path: str, there: set[tuple[str, Inode]]) -> bool:
        """Whether nothing is left to do for what is at a path now. `there`: what is read up."""
        try:
            status = os.stat(path)  # noqa: PTH116 - as it is in a tick
        except (FileNotFoundError, NotADirectoryError):
            # Of one that was opened, all is read.
            return True
        except OSError as error:
            self.followed.failed(path, error)
            status = None
        if failure := self.followed.failures.get(path):
            return time.monotonic() - failure.since_s > OUTAGE_S
        assert status is not None  # noqa: S101 - else it has failed
        if not stat.S_ISREG(status.st_mode):
            self.followed.failed(path, OSError(errno.EINVAL, "it is no file any more"))
            return False
        return path in self.followed.empty or (path, Inode.of(status)) in there


def _size(path: Path) -> int:
    """Bytes of a file, 0 if it is gone."""
    with suppress(OSError):
        return path.stat().st_size
    return 0
