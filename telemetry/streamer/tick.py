"""A tick over the sources of an edge: finds files, opens and drops streams, lets each take its steps in turn.

What another replica holds is left to it, and so is its part of what nobody holds (`membership`). What goes wrong with one
file is logged and does not stop the others.
"""

from __future__ import annotations

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
from typing import NamedTuple

import redis
from kombu.exceptions import OperationalError

from telemetry import broker
from telemetry.progress.claims import Claims
from telemetry.progress.evidence import Evidence
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Losses
from telemetry.settings import Settings
from telemetry.streamer.adoption import Adoption, Known
from telemetry.streamer.deferred import Deferred
from telemetry.streamer.matching import matching
from telemetry.streamer.membership import Membership, part
from telemetry.streamer.orphans import Orphans
from telemetry.streamer.outbox import Publish
from telemetry.streamer.phase import READING
from telemetry.streamer.queue_watch import QueueWatch
from telemetry.streamer.source import SourceFile
from telemetry.streamer.step import ChangedError, Moment, TakenError
from telemetry.streamer.stream import Stream

log = logging.getLogger(__name__)

MIN_BUDGET_S = 0.5
# As far as its heartbeat says, a worker is alive between its ticks only.
MAX_BUDGET_S = 20.0
MIN_PAUSE_S = 0.01
MAX_PAUSE_S = 0.25
# Published again in one tick, all sources together: copies must not crowd out what is new.
MAX_COPIES = 16
# Acknowledgements are asked for together, for a distant broker; but those of a source that others kept waiting are asked anew.
MAX_ASKED = 16
FRESH_S = 0.1
# What says that the broker is away, which no source is to blame for.
BROKER_ERRORS = (redis.RedisError, OperationalError)


class Round(NamedTuple):
    """What one step of each source came to: whether anything was done, whether rows are left to read, the copies published."""

    progressed: bool
    rows_left: bool
    copies: int


@dataclass(slots=True)
class Streamer:
    """The sources one streamer process works on. `final` says that no file will grow: `ingest` reads each to its end.

    `standing` says that a person should be told when no streamer of this edge ticks any more.
    """

    settings: Settings
    client: redis.Redis
    publish: Publish
    final: bool = False
    standing: bool = False
    streams: dict[str, Stream] = field(default_factory=dict)
    claims: Claims = field(init=False)
    _owner: str = field(init=False)
    _adoption: Adoption = field(init=False)
    _membership: Membership = field(init=False)
    _queue_watch: QueueWatch = field(init=False)
    _orphans: Orphans = field(init=False)
    _deferred: Deferred = field(default_factory=Deferred)
    _live: int = 1
    _renewed_s: float = field(default=-math.inf)
    _swept_s: float = field(default=-math.inf)

    def __post_init__(self) -> None:
        settings, keys = self.settings, Keys(self.settings.key_prefix)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self.claims = Claims(self.client, keys, settings.edge, self._owner, settings.lease_s)
        lose = Losses(self.client, keys, settings.edge).record
        self._adoption = Adoption(settings, self.client, self.claims, lose)
        self._membership = Membership(self.client, keys, settings.edge, settings.lease_s)
        self._queue_watch = QueueWatch(self.client, settings)
        self._orphans = Orphans(max(settings.close_after_s, 2 * settings.lease_s), settings.max_record_bytes)

    def tick(self, budget_s: float) -> None:
        """Work on all sources until there is nothing to do, at most about `budget_s` seconds."""
        deadline = time.monotonic() + budget_s
        paths = matching(self.settings.sources)
        self._renew(paths)
        self.discover(paths, part(len(paths), self._live))
        self._take_orphans()
        pause_s, copies = MIN_PAUSE_S, MAX_COPIES
        while True:
            done = self._round(copies)
            copies -= done.copies
            if self.settings.loop_mode or not done.rows_left or time.monotonic() >= deadline:
                break
            pause_s = MIN_PAUSE_S if done.progressed else min(2 * pause_s, MAX_PAUSE_S)
            if not done.progressed:
                time.sleep(min(pause_s, max(0.0, deadline - time.monotonic())))
        self._drop_finished()

    def discover(self, paths: Iterable[Path], limit: float = math.inf) -> None:
        """Open the sources at some paths that are not open yet; beyond `limit` only those that nobody takes for a lease."""
        paths, open_paths = list(paths), self._open_paths()
        free = [path for path in paths if path not in open_paths]
        room = limit - (len(paths) - len(free))
        known = cache(self.claims.sources)
        for path in free:
            if self._deferred.holds(path):
                continue
            try:
                if room <= 0 and not self._deferred.has_waited(path):
                    self._deferred.put(path, self.settings.lease_s)
                    continue
                room -= self._open(path, known)
            except BROKER_ERRORS:
                raise
            except OSError as error:
                log.warning("cannot read %s: %s", path, error.strerror)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other files have no part in it
                self._deferred.fail(path, error, self.settings.lease_s)

    def close(self) -> None:
        """Give all sources up."""
        for stream in self.streams.values():
            stream.release()
        self.streams.clear()
        self._membership.leave(self._owner)

    @property
    def _files_are_closed(self) -> bool:
        """Whether nothing is appended to the files while they are at their paths."""
        return self.final or self.settings.loop_mode

    def _open_paths(self) -> dict[Path, str]:
        """The paths that lead to a file that is open here, each with the id of its source."""
        return {stream.source.path: name for name, stream in self.streams.items() if stream.source.is_at_its_path()}

    def _open(self, path: Path, known: Known) -> bool:
        """Open a source and claim it. Says if it is ours."""
        source = SourceFile.open(path, max_record=self.settings.max_record_bytes, final=self._files_are_closed)
        if source is None:
            return False
        stream = self._adoption.stream(source, self.publish)
        former = self.streams.get(stream.source_id)
        if former and former.phase == READING and not (former.idle() and former.window.end >= former.source.size()):
            # Another file of this name that begins the same, and of this one something is left to read.
            source.close()
            return False
        self._drop(stream.source_id)
        try:
            is_ours = self._adoption.take(stream, known, self._drop)
        except BaseException:
            source.close()
            raise
        if not is_ours:
            source.close()
            self._deferred.put(path, self.settings.lease_s / 3)
            return False
        self._deferred.drop(path)
        self.streams[stream.source_id] = stream
        if source.head.format is None and stream.window.end == 0:
            log.warning("%s has no header that this version knows; it is not read", path)
        return True

    def _take_orphans(self) -> None:
        """Take the sources whose file is gone."""
        now_s = time.monotonic()
        # A replay loses nothing, and `ingest` has files of its own.
        if self.settings.loop_mode or not self.settings.sources or now_s - self._swept_s < self.settings.close_after_s / 2:
            return
        self._swept_s = now_s
        for name, state in self._orphans.due(self.claims.sources(), self.streams, now_s).items():
            if stream := self._adoption.take_orphan(name, state, self.publish):
                self.streams[name] = stream
            else:
                self._orphans.spare(name)

    def _round(self, copies: int) -> Round:
        """One step of each source, which publish at most so many copies together."""
        names = list(self.streams)
        # First, so that what went from the queue before it looked is among the acknowledged.
        sighting = self._queue_watch.look(self.streams.values())
        signals, asked_s = self.claims.signals(names[:MAX_ASKED]), time.monotonic()
        evidence, acked = Evidence(signals.epoch, *sighting), signals.acks
        progressed, rows_left, copies_left = False, False, copies
        room = self.settings.edge_bytes - sum(stream.window.span for stream in self.streams.values())
        for at, name in enumerate(names):
            stream = self.streams[name]
            if name not in acked or time.monotonic() - asked_s > FRESH_S:
                acked, asked_s = self.claims.signals(names[at : at + MAX_ASKED]).acks, time.monotonic()
            before = stream.window.span
            with self._apart(name, stream):
                stream.begin_pass(signals.now_us)
                done = stream.step(Moment(signals.now_us, acked[name], evidence, room, copies_left))
                progressed, copies_left = progressed | done.anything, copies_left - done.copies
                rows_left |= not stream.read_up()
            room += before - (stream.window.span if name in self.streams else 0)
        # The next round begins with another source, so that none starves when the edge's budget is short.
        if len(self.streams) > 1:
            first = next(iter(self.streams))
            self.streams[first] = self.streams.pop(first)
        return Round(progressed, rows_left, copies - copies_left)

    @contextmanager
    def _apart(self, name: str, stream: Stream) -> Iterator[None]:
        """What goes wrong with one source inside drops this one and is logged; the others have no part in it."""
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
            self._deferred.fail(stream.source.path, error, self.settings.lease_s)

    def _renew(self, paths: list[Path]) -> None:
        if time.monotonic() - self._renewed_s < self.settings.lease_s / 4:
            return
        self._renewed_s = time.monotonic()
        if self.standing:
            self.claims.expect(self.settings.stream_interval_s + self.settings.lease_s)
        now_us = broker.now_us(self.client)
        for name, stream in list(self.streams.items()):
            with self._apart(name, stream):
                stream.renew(now_us)
        live, before = self._membership.count(self._owner), self._live
        self._live = live
        if live != before:
            self._deferred.clear()
        if live > before:
            self._give_up(paths, part(len(paths), live))

    def _give_up(self, paths: list[Path], limit: int) -> None:
        """Leave to a streamer that came what is beyond this one's part. A file without a name nobody else could open."""
        open_paths = self._open_paths()
        for path in [path for path in paths if path in open_paths][limit:]:
            self._drop(open_paths[path])
            self._deferred.put(path, self.settings.lease_s)

    def _drop_finished(self) -> None:
        """Let go of files whose path leads elsewhere by now, once they are read up and acknowledged.

        Whoever writes may go on writing to a file that was renamed or deleted; it counts as closed when it was quiet for long.
        """
        for name, stream in list(self.streams.items()):
            if stream.phase != READING:
                continue
            with self._apart(name, stream):
                if stream.source.is_at_its_path():
                    stream.source.final = self._files_are_closed
                elif stream.source.quiet_s() < self.settings.close_after_s:
                    continue
                elif not stream.source.final:
                    # A last line without an end is complete now: the next tick reads it.
                    stream.source.final = True
                elif stream.read_up() and stream.idle():
                    self._drop(name)

    def _drop(self, name: str) -> None:
        if stream := self.streams.pop(name, None):
            stream.release()


def budget_s(interval_s: float) -> float:
    """How long a tick may work where one comes each `interval_s` seconds."""
    return min(max(MIN_BUDGET_S, interval_s), MAX_BUDGET_S)
