"""The files that were let go of: all of each is committed, so it need not be open until it changes.

A file that rests costs a look at its path in each tick, and no descriptor. It is taken up again as a restarted streamer takes
it up: when the file at its path is not the one that was left there, when its state in the broker is another one, and about
once a day, so that the broker does not forget it. Which files rest, and when, is decided in `held`.
"""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from telemetry.progress.state import Inode, SourceState
from telemetry.streamer.phase import READING
from telemetry.streamer.source import Stamp
from telemetry.streamer.stream import Stream

# How long a file rests at most: half of it or more, so that those let go of together do not come back together.
MAX_REST_S = 86_400.0


class Rest(NamedTuple):
    """A file that rests: what it was when it was let go of, until when it may rest, and whether all of it is committed."""

    source_id: str
    path: str
    inode: Inode
    stamp: Stamp
    until_s: float
    committed: int
    is_whole: bool


@dataclass(slots=True)
class Resting:
    """The files that rest, by path."""

    _rests: dict[str, Rest] = field(default_factory=dict)
    # The digests of the documents that were found to be those they were left with, by source id.
    _settled: dict[str, int] = field(default_factory=dict)

    def put(self, stream: Stream, stamp: Stamp) -> None:
        """Let a file rest that was seen with this stamp before it was found to be read up."""
        until_s = time.monotonic() + MAX_REST_S * random.uniform(0.5, 1)  # noqa: S311 - no secret
        path, committed = str(stream.source.path), stream.window.committed
        inode, whole = stream.source.inode(), is_whole(stream, stamp)
        self._rests[path] = Rest(stream.source_id, path, inode, stamp, until_s, committed, whole)

    def wake_all(self) -> None:
        """Let no file rest: the database may have forgotten what is committed of them."""
        self._rests.clear()
        self._settled.clear()

    def all(self) -> Collection[Rest]:
        """What rests."""
        return self._rests.values()

    def awake(self, paths: Iterable[str]) -> list[str]:
        """Those paths that lead to a file, without those whose file rests unchanged."""
        now_s = time.monotonic()
        awake: list[str] = []
        for path in paths:
            try:
                status = os.stat(path)  # noqa: PTH116 - a tick looks at all of them
            except OSError:
                continue
            rest = self._rests.get(path)
            if rest is not None:
                if _is_unchanged(rest, status) and now_s < rest.until_s:
                    continue
                del self._rests[path]
            if stat.S_ISREG(status.st_mode):
                awake.append(path)
        return awake

    def unsettled(self, documents: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        """The documents of sources that do not rest, and those that changed: to decode all takes too long for a tick."""
        return {source_id: text for source_id, text in documents.items() if self._settled.get(source_id) != hash(text)}

    def wake(self, known: Mapping[str, SourceState], documents: Mapping[str, bytes | None], paths: Collection[str]) -> None:
        """Let no file rest whose state in the broker is not the one it was left with, or whose path is not among these.

        `known`: the states of the unsettled documents.
        """
        settled: dict[str, int] = {}
        for path, rest in list(self._rests.items()):
            source_id, state = rest.source_id, known.get(rest.source_id)
            is_same = source_id in documents and self._settled.get(source_id) == hash(documents[source_id])
            if path in paths and (is_same or (state and _is_as_left(rest, state))):
                settled[source_id] = hash(documents[source_id])
            else:
                del self._rests[path]
        self._settled = settled


def restful(stream: Stream, stamp: Stamp) -> bool:
    """Whether nothing is left to do for a stream, as long as its file stays what this stamp of it says.

    To be asked after a step of the stream, and before it looks at its file again.
    """
    return (
        stream.phase == READING
        and not stream.mode.replays
        and stream.idle()
        and stream.read_up()
        and (is_whole(stream, stamp) or stream.seen_bytes == stream.source.size_at(stamp))
        and stream.source.is_at_its_path()
    )


def is_behind(stream: Stream) -> bool:
    """Whether something is left to read of a stream's file."""
    source = stream.source
    return stream.phase == READING and not (stream.idle() and source.is_ready and stream.window.end >= source.size())


def is_whole(stream: Stream, stamp: Stamp) -> bool:
    """Whether all of the file is read, to its last byte; of a foreign one nothing more will be."""
    return stream.window.end >= stream.source.size_at(stamp) or stream.source.head.format is None


def quiet_s(stream: Stream, stamp: Stamp) -> float:
    """Seconds since the file was changed, as far as its own time can be believed."""
    return max(stream.source.quiet_s(), time.time() - stamp.modified_ns / 1e9)


def _is_as_left(rest: Rest, state: SourceState) -> bool:
    return state.window.committed == rest.committed and not state.window.flights


def _is_unchanged(rest: Rest, status: os.stat_result) -> bool:
    return (status.st_dev, status.st_ino) == rest.inode and (
        (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == rest.stamp
    )
