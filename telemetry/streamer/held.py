"""The files that a streamer has open: which are opened, let go of, and given up to another streamer.

A file that vanishes is read on through its descriptor, so files stay open as long as there are few. Where there are many, those
that are committed and quiet rest (`resting`), the longest quiet first; where there are more than the limit of descriptors
allows, those that wait take turns with those that have nothing to read.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial

import redis
from kombu.exceptions import OperationalError

from telemetry import broker, descriptors
from telemetry.progress.claims import Claims
from telemetry.progress.reading import decoded
from telemetry.settings import Settings
from telemetry.streamer.adoption import Adoption, Known
from telemetry.streamer.begun import Begun
from telemetry.streamer.copied import is_longer_copy
from telemetry.streamer.deferred import Deferred
from telemetry.streamer.followed import Listener
from telemetry.streamer.orphans import Orphans
from telemetry.streamer.outbox import Publish
from telemetry.streamer.packing import DamagedError
from telemetry.streamer.phase import READING
from telemetry.streamer.renamed import Renamed
from telemetry.streamer.resting import Resting, is_behind, is_whole, quiet_s, restful
from telemetry.streamer.source import SourceFile
from telemetry.streamer.step import ChangedError, EndedError, TakenError
from telemetry.streamer.stream import Stream
from telemetry.streamer.writers import UNSURE

log = logging.getLogger(__name__)

# As many files stay open although they are quiet. Each costs an idle tick about a twentieth of a millisecond.
KEPT_OPEN = 512
SHORT = "%d files wait to be read, as %d are open of %d descriptors allowed: raise ulimit -n (LimitNOFILE= in a systemd unit)"
# What says that the broker is away, which no source is to blame for.
BROKER_ERRORS = (redis.RedisError, OperationalError)


@dataclass(slots=True)
class Held:
    """The open sources of one streamer, by id. `final`: each file is read to its end, but for those that are `growing`."""

    settings: Settings
    client: redis.Redis
    claims: Claims
    adoption: Adoption
    publish: Publish
    final: bool
    growing: Collection[str] = ()
    listener: Listener = field(default_factory=Listener)
    streams: dict[str, Stream] = field(default_factory=dict)
    resting: Resting = field(default_factory=Resting)
    deferred: Deferred = field(default_factory=Deferred)
    begun: Begun = field(init=False)
    renamed: Renamed = field(init=False)
    _orphans: Orphans = field(init=False)
    _swept_s: float = field(default=-math.inf)
    # Paths that there was no descriptor or no time for, the one that waits longest first.
    _waiting: list[str] = field(default_factory=list)
    _max_open: int = 0
    _has_warned: bool = False

    def __post_init__(self) -> None:
        settings = self.settings
        self._orphans = Orphans(max(settings.close_after_s, 2 * settings.lease_s), settings)
        self.begun = Begun(settings)
        self.renamed = Renamed(settings, self.claims, self._orphans.grace_s, self.adoption.lose, self.begun.read())

    def note(self) -> None:
        """Write down which files are begun."""
        self.begun.keep(self.streams.values(), self.renamed.missed)

    def discover(self, paths: Collection[str], limit: float = math.inf, budget_s: float = math.inf) -> None:
        """Open what is not open yet, for about `budget_s`; beyond `limit` sources only what nobody takes for a lease."""
        until_s = time.monotonic() + budget_s
        open_paths = self._open_paths()
        free = [path for path in paths if path not in open_paths]
        room = limit - (len(paths) - len(free))
        known = cache(self.claims.sources)
        ready = [path for path in free if not self.deferred.holds(path)]
        if self._waiting:
            turn = {path: at for at, path in enumerate(self._waiting)}
            ready.sort(key=lambda path: turn.get(path, len(turn)))
        self._waiting, self._max_open = [], descriptors.for_files()
        for at, path in enumerate(ready):
            if len(self.streams) >= self._max_open or time.monotonic() > until_s:
                self._waiting = ready[at:]
                return
            try:
                if room <= 0 and not self.deferred.has_waited(path):
                    self.deferred.put(path, self.settings.lease_s)
                    continue
                room -= self._open(path, known)
            except BROKER_ERRORS:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the other files have no part in it
                if isinstance(error, OSError) and error.errno in descriptors.EXHAUSTED:
                    self._waiting, self._max_open = ready[at:], len(self.streams)
                    return
                self._fail(path, error)

    def let_go(self) -> None:
        """Let files rest of which nothing is left to read: those that are quiet beyond KEPT_OPEN, and as many as others wait.

        To be asked when each stream has taken a step.
        """
        excess = len(self.streams) - KEPT_OPEN
        short = len(self._waiting) if len(self.streams) >= self._max_open else 0
        self._tell(short)
        if self.settings.loop_mode or (excess <= 0 and not short):
            return
        candidates = []
        for name, stream in list(self.streams.items()):
            with self.apart(name, stream):
                stamp = stream.source.stamp()
                if restful(stream, stamp):
                    candidates.append((not is_whole(stream, stamp), -quiet_s(stream, stamp), name, stamp))
        candidates.sort()
        now_us = broker.now_us(self.client) if candidates else 0
        for at, (is_torn, minus_quiet_s, name, stamp) in enumerate(candidates):
            is_quiet = not is_torn and -minus_quiet_s >= self.settings.close_after_s
            if at >= short and not (at < excess and is_quiet):
                break
            stream = self.streams[name]
            with self.apart(name, stream):
                stream.renew(now_us)
                if stream.phase == READING:
                    self.resting.put(stream, stamp)
                    self.drop(name)

    def take_orphans(self, paths: Collection[str]) -> None:
        """Take the sources whose file is gone, and look at what became of those that rest. `paths`: all there are."""
        now_s = time.monotonic()
        # A replay loses nothing, and `ingest` has files of its own.
        if self.settings.loop_mode or not self.settings.sources or now_s - self._swept_s < self.settings.close_after_s / 2:
            return
        self._swept_s = now_s
        documents = self.claims.documents()
        known = decoded(self.resting.unsettled(documents))
        self.resting.wake(known, documents, set(paths))
        for name, state in self._orphans.due(known, self.streams, paths, now_s).items():
            if len(self.streams) >= self._max_open:
                break
            try:
                stream = self.adoption.take_orphan(name, state, self.publish)
            except BROKER_ERRORS:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the other sources have no part in it
                self.deferred.fail(state.path, error, self.settings.lease_s)
                continue
            if stream:
                self.streams[name] = stream
            else:
                self._orphans.spare(name)

    def give_up(self, paths: Iterable[str], limit: int) -> None:
        """Leave to a streamer that came what is beyond this one's part. A file without a name nobody else could open."""
        open_paths = self._open_paths()
        for path in [path for path in paths if path in open_paths][limit:]:
            self.drop(open_paths[path])
            self.deferred.put(path, self.settings.lease_s)

    def drop_finished(self) -> None:
        """Let go of files whose path leads elsewhere by now, once they are read up and acknowledged.

        Whoever writes may go on writing to a file that was renamed or deleted; it counts as closed when it was quiet for long
        and nobody has it open to write. While others wait for a descriptor, that need not be sure.
        """
        unsure = 1 if self._waiting else UNSURE
        for name, stream in list(self.streams.items()):
            if stream.phase != READING:
                continue
            with self.apart(name, stream):
                if stream.source.is_packed:
                    # What is packed is whole.
                    if not stream.source.is_at_its_path() and stream.read_up() and stream.idle():
                        self.drop(name)
                elif stream.source.is_at_its_path() and str(stream.source.path) not in self.renamed.paths:
                    stream.source.final = self._is_closed(str(stream.source.path))
                elif not stream.source.is_closed(self.settings.close_after_s, unsure):
                    continue
                elif not stream.source.final:
                    # A last line without an end is complete now: the next tick reads it.
                    stream.source.final = True
                elif stream.read_up() and stream.idle():
                    self.renamed.paths.discard(str(stream.source.path))
                    self.drop(name)

    @contextmanager
    def apart(self, name: str, stream: Stream) -> Iterator[None]:
        """What goes wrong with one source inside drops this one and is logged; the others have no part in it."""
        try:
            yield
        except BROKER_ERRORS:
            raise
        except (TakenError, ChangedError) as error:
            log.info("%s: %s: %s", stream.source.path, type(error).__name__, error)
            if not isinstance(error, EndedError):
                self.listener.dropped(stream, error)
            self.drop(name)
        except DamagedError as error:
            # Opened anew, it is foreign, and says why.
            if not stream.source.is_at_its_path():
                self.listener.dropped(stream, error)
            stream.forget_unread()
            self.drop(name)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.listener.dropped(stream, error)
            self.drop(name)
            self._fail(str(stream.source.path), error)

    def drop(self, name: str) -> None:
        """Give a source up, if it is held."""
        if stream := self.streams.pop(name, None):
            stream.release()

    def _replace(self, stream: Stream, former_id: str) -> None:
        self.drop(former_id)
        self.listener.joined(stream, former_id)

    def _fail(self, path: str, error: Exception) -> None:
        """Say why a file cannot be read. What is no error of the system is left alone for long."""
        if pause_s := self.listener.failed(path, error):
            self.deferred.put(path, pause_s)
        if isinstance(error, OSError):
            log.warning("cannot read %s: %s", path, error.strerror)
        else:
            self.deferred.fail(path, error, self.settings.lease_s)

    def _is_closed(self, path: str) -> bool:
        """Whether nothing is appended to a file while it is at its path."""
        return self.settings.loop_mode or (self.final and path not in self.growing)

    def _is_still_read(self, source: SourceFile, known: Known) -> bool:
        """Whether something is left to read of the open file, gone from its path, that a packed one was made of."""
        name = self.adoption.former_id(known(), source) if self.streams else None
        return name in self.streams and is_behind(self.streams[name])

    def _open_paths(self) -> dict[str, str]:
        """The paths that lead to a file that is open here, each with the id of its source."""
        return {str(stream.source.path): name for name, stream in self.streams.items() if stream.source.is_at_its_path()}

    def _tell(self, short: int) -> None:
        """Log, once, that descriptors are short."""
        if short and not self._has_warned:
            log.warning(SHORT, short, len(self.streams), descriptors.limit())
        self._has_warned = bool(self._waiting) and (self._has_warned or bool(short))

    def _open(self, path: str, known: Known) -> bool:
        """Open a source and claim it. Says if it is ours."""
        source = self.adoption.open(path, known, final=self._is_closed(path))
        if source is None:
            self.listener.vacant(path)
            return False
        if source.head.is_inherited and any(
            is_behind(each) for each in self.streams.values() if each.source.path == source.path
        ):
            # What it inherits is the last header of the file before it, which is not read up.
            source.close()
            return False
        stream = self.adoption.stream(source, self.publish)
        former = self.streams.get(stream.source_id)
        if former and is_behind(former) and not is_longer_copy(source, former, self.settings.max_record_bytes):
            # Another file of this name that begins the same, and of this one something is left to read.
            source.close()
            return False
        if source.is_packed and self._is_still_read(source, known):
            source.close()
            return False
        self.drop(stream.source_id)
        self.listener.joined(stream)
        try:
            is_ours = self.adoption.take(stream, known, partial(self._replace, stream))
        except BaseException:
            source.close()
            raise
        if not is_ours:
            source.close()
            self.deferred.put(path, self.settings.lease_s / 3)
            return False
        self.deferred.drop(path)
        self.listener.opened(stream)
        self.streams[stream.source_id] = stream
        if source.head.format is None and stream.window.end == 0:
            log.warning("%s is not read: %s", path, source.head.miss)
        return True
