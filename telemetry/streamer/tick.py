"""A tick over the sources of an edge: finds files, opens and drops streams, lets each take its steps in turn.

What another replica holds is left to it, and so is its part of what nobody holds (`share`). What goes wrong with one
file is said and does not stop the others.
"""

from __future__ import annotations

import glob
import logging
import math
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from secrets import token_hex

import redis
from kombu.exceptions import OperationalError

from telemetry import broker
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Losses
from telemetry.progress.registry import Registry
from telemetry.progress.window import Evidence
from telemetry.settings import Settings
from telemetry.streamer.adoption import Known, Opening
from telemetry.streamer.membership import Streamers, part
from telemetry.streamer.orphans import Remains
from telemetry.streamer.outbox import Publish
from telemetry.streamer.queue_watch import Witness
from telemetry.streamer.source import SourceFile
from telemetry.streamer.stream import ChangedError, Moment, Stream, TakenError

log = logging.getLogger(__name__)

MIN_BUDGET_S = 0.5
# As far as its heartbeat says, a worker is alive between its ticks only.
MAX_BUDGET_S = 20.0
POLL_S = 0.01
MOST_POLL_S = 0.25
# Published again in one tick, all sources together: copies must not crowd out what is new.
MOST_COPIES = 16
# Acknowledgements are asked for together, for a distant broker; but those of a source that others kept waiting are asked anew.
MOST_ASKED = 16
FRESH_S = 0.1
# What says that the broker is away, which no source is to blame for.
BROKER_ERRORS = (redis.RedisError, OperationalError)


@dataclass(slots=True)
class Streamer:
    """The sources one streamer process works on. `final` says that no file will grow: `ingest` reads each to its end.

    `standing` says that somebody should be told when no streamer of this edge ticks any more.
    """

    settings: Settings
    client: redis.Redis
    publish: Publish
    final: bool = False
    standing: bool = False
    streams: dict[str, Stream] = field(default_factory=dict)
    registry: Registry = field(init=False)
    _owner: str = field(init=False)
    _opening: Opening = field(init=False)
    _streamers: Streamers = field(init=False)
    _witness: Witness = field(init=False)
    _remains: Remains = field(init=False)
    _live: int = 1
    _paths: dict[Path, str] = field(default_factory=dict)
    _elsewhere: dict[Path, float] = field(default_factory=dict)
    _failures: dict[Path, str] = field(default_factory=dict)
    _renewed_s: float = field(default=-math.inf)
    _swept_s: float = field(default=-math.inf)

    def __post_init__(self) -> None:
        settings, keys = self.settings, Keys(self.settings.key_prefix)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self.registry = Registry(self.client, keys, settings.edge, self._owner, settings.lease_s)
        self._opening = Opening(settings, self.client, self.registry, Losses(self.client, keys, settings.edge).enter)
        self._streamers = Streamers(self.client, keys, settings.edge, settings.lease_s)
        self._witness = Witness(self.client, settings)
        self._remains = Remains(max(settings.close_after_s, 2 * settings.lease_s), settings.max_record_bytes)

    def tick(self, budget_s: float) -> None:
        """Work on all sources until there is nothing to do, at most about `budget_s` seconds."""
        deadline = time.monotonic() + budget_s
        paths = matching(self.settings.sources)
        self._renew(paths)
        self.discover(paths, part(len(paths), self._live))
        self._take_remains()
        pause_s, copies = POLL_S, MOST_COPIES
        while True:
            progressed, blocked, copied = self._round(copies)
            copies -= copied
            if self.settings.loop_mode or not blocked or time.monotonic() >= deadline:
                break
            pause_s = POLL_S if progressed else min(2 * pause_s, MOST_POLL_S)
            if not progressed:
                time.sleep(min(pause_s, max(0.0, deadline - time.monotonic())))
        self._drop_finished()

    def discover(self, paths: Iterable[Path], most: float = math.inf) -> None:
        """Open the sources at some paths that are not open yet; beyond `most` only those that nobody takes for a lease."""
        paths = list(paths)
        free = [path for path in paths if not self._is_open(path)]
        room = most - (len(paths) - len(free))
        known = cache(self.registry.known)
        for path in free:
            now_s = time.monotonic()
            if self._elsewhere.get(path, 0.0) > now_s:
                continue
            try:
                if room <= 0 and path not in self._elsewhere:
                    self._elsewhere[path] = now_s + self.settings.lease_s
                    continue
                room -= self._open(path, known)
            except BROKER_ERRORS:
                raise
            except OSError as error:
                log.warning("cannot read %s: %s", path, error.strerror)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other files have no part in it
                self._fail(path, error)

    def close(self) -> None:
        """Give all sources up."""
        for stream in self.streams.values():
            stream.release()
        self.streams.clear()
        self._paths.clear()
        self._streamers.leave(self._owner)

    def _is_open(self, path: Path) -> bool:
        return path in self._paths and self._leads_there(self.streams[self._paths[path]])

    def _open(self, path: Path, known: Known) -> bool:
        """Open a source and claim it. Says if it is ours."""
        settings = self.settings
        final = self.final or settings.loop_mode
        source = SourceFile.open(path, max_record=settings.max_record_bytes, final=final)
        if source is None:
            return False
        stream = self._opening.stream(source, self.publish)
        former = self.streams.get(stream.source_id)
        if former and not former.lost_to and not (former.idle() and former.window.end >= former.source.size()):
            # Another file of this name that begins the same, and of this one something is left to read.
            source.close()
            return False
        self._drop(stream.source_id)
        try:
            taken = self._opening.take(stream, known, self._drop)
        except BaseException:
            source.close()
            raise
        if not taken:
            source.close()
            self._elsewhere[path] = time.monotonic() + settings.lease_s / 3
            return False
        self._elsewhere.pop(path, None)
        self._paths[path] = stream.source_id
        self.streams[stream.source_id] = stream
        if source.head.format is None and stream.window.end == 0:
            log.warning("%s has no header this version knows; it is not read", path)
        return True

    def _take_remains(self) -> None:
        """Take what is left of sources whose file is gone."""
        now_s = time.monotonic()
        # A replay loses nothing, and `ingest` has files of its own.
        if self.settings.loop_mode or not self.settings.sources or now_s - self._swept_s < self.settings.close_after_s / 2:
            return
        self._swept_s = now_s
        for name, state in self._remains.due(self.registry.known(), self.streams, now_s).items():
            if stream := self._opening.take_remain(name, state, self.publish):
                self.streams[name] = stream
            else:
                self._remains.spare(name)

    def _round(self, copies: int) -> tuple[bool, bool, int]:
        """One step of each source. Says whether anything was done, whether anything is left to read, and the copies made."""
        names = list(self.streams)
        # First, so that what went from the queue before it looked is among the acknowledged.
        witnessed = self._witness.look(self.streams.values())
        seen, asked_s = self.registry.look(names[:MOST_ASKED]), time.monotonic()
        evidence, acked = Evidence(seen.epoch, *witnessed), seen.acks
        progressed, blocked, left = False, False, copies
        room = self.settings.edge_bytes - sum(stream.window.span for stream in self.streams.values())
        for at, name in enumerate(names):
            stream = self.streams[name]
            if name not in acked or time.monotonic() - asked_s > FRESH_S:
                acked, asked_s = self.registry.look(names[at : at + MOST_ASKED]).acks, time.monotonic()
            before = stream.window.span
            with self._apart(name, stream):
                stream.begin_pass(seen.now_us)
                done = stream.step(Moment(seen.now_us, acked[name], evidence, room, left))
                progressed, left = progressed | done.anything, left - done.copies
                blocked |= not stream.read_up()
            room += before - (stream.window.span if name in self.streams else 0)
        # The next round begins with another source, so that none starves when the edge's budget is short.
        if len(self.streams) > 1:
            first = next(iter(self.streams))
            self.streams[first] = self.streams.pop(first)
        return progressed, blocked, copies - left

    @contextmanager
    def _apart(self, name: str, stream: Stream) -> Iterator[None]:
        """What goes wrong with one source inside drops this one and is said; the others have no part in it."""
        try:
            yield
        except BROKER_ERRORS:
            raise
        except (TakenError, ChangedError) as error:
            log.info("%s: %s: %s", stream.source.path, type(error).__name__, error)
            self._drop(name)
        except OSError as error:
            log.warning("cannot read %s: %s", stream.source.path, error.strerror)
            self._drop(name)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._drop(name)
            self._fail(stream.source.path, error)

    def _fail(self, path: Path, error: Exception) -> None:
        """Leave a file alone for a while, and say once why."""
        self._elsewhere[path] = time.monotonic() + self.settings.lease_s
        if self._failures.get(path) != repr(error):
            self._failures[path] = repr(error)
            log.error("cannot stream %s; it is tried again later", path, exc_info=error)

    def _renew(self, paths: list[Path]) -> None:
        if time.monotonic() - self._renewed_s < self.settings.lease_s / 4:
            return
        self._renewed_s = time.monotonic()
        if self.standing:
            self.registry.expect(self.settings.stream_interval_s + self.settings.lease_s)
        now_us = broker.now_us(self.client)
        for name, stream in list(self.streams.items()):
            with self._apart(name, stream):
                stream.renew(now_us)
        live, before = self._streamers.count(self._owner), self._live
        self._live = live
        if live != before:
            self._elsewhere.clear()
        if live > before:
            self._give_up(paths, part(len(paths), live))

    def _give_up(self, paths: list[Path], most: int) -> None:
        """Leave to a streamer that came what is beyond this one's part. A file without a name nobody else could open."""
        held = [path for path in paths if self._is_open(path)]
        for path in held[most:]:
            self._drop(self._paths[path])
            self._elsewhere[path] = time.monotonic() + self.settings.lease_s

    def _drop_finished(self) -> None:
        """Let go of files whose path leads elsewhere by now, once they are read up and acknowledged.

        Whoever writes may go on writing to a file that was renamed or deleted; it counts as closed when it was quiet for long.
        """
        for name, stream in list(self.streams.items()):
            if stream.lost_to:
                continue
            with self._apart(name, stream):
                if self._leads_there(stream):
                    stream.source.final = self.final or self.settings.loop_mode
                elif stream.source.quiet_s() < self.settings.close_after_s:
                    continue
                elif not stream.source.final:
                    # A last line without an end is complete now: the next tick reads it.
                    stream.source.final = True
                elif stream.read_up() and stream.idle():
                    self._drop(name)

    def _leads_there(self, stream: Stream) -> bool:
        try:
            status = stream.source.path.stat()
            return (status.st_dev, status.st_ino) == stream.source.identity()
        except OSError:
            return False

    def _drop(self, name: str) -> None:
        stream = self.streams.pop(name, None)
        if stream is None:
            return
        if self._paths.get(stream.source.path) == name:
            del self._paths[stream.source.path]
        stream.release()


def budget_s(interval_s: float) -> float:
    """How long a tick may work where one comes each `interval_s` seconds."""
    return min(max(MIN_BUDGET_S, interval_s), MAX_BUDGET_S)


def matching(patterns: Iterable[str]) -> list[Path]:
    """The files that glob patterns match, in order."""
    # Not Path.glob, which takes no absolute patterns.
    found = {Path(path) for pattern in patterns for path in glob.glob(pattern, recursive=True)}  # noqa: PTH207
    return sorted(path for path in found if path.is_file())
