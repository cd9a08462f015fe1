"""A tick over all sources of an edge: finds files, opens and drops streams, lets each take its steps in turn.

Sources another replica holds are left to it. What goes wrong with one file is said and does not stop the others.
"""

from __future__ import annotations

import glob
import logging
import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex

import redis

from telemetry import broker
from telemetry.keys import Keys
from telemetry.readings.dcgm import Limits
from telemetry.readings.identity import source_id
from telemetry.settings import Settings
from telemetry.streamer import clock
from telemetry.streamer.cut import Reader
from telemetry.streamer.registry import Registry
from telemetry.streamer.source import SourceFile
from telemetry.streamer.stream import ChangedError, Moment, Publish, Stream, TakenError
from telemetry.streamer.window import Evidence

log = logging.getLogger(__name__)

POLL_S = 0.01
# A replay waits for the clock instead of turning away what lies ahead of it.
NO_FUTURE_LIMIT_US = 10**17


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
    _paths: dict[Path, tuple[tuple[int, int], str]] = field(default_factory=dict)
    _elsewhere: dict[Path, float] = field(default_factory=dict)
    _renewed_s: float = 0.0

    def __post_init__(self) -> None:
        owner = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        keys = Keys(self.settings.key_prefix)
        self.registry = Registry(self.client, keys, self.settings.edge, owner, self.settings.lease_s)

    def tick(self, budget_s: float) -> None:
        """Work on all sources until there is nothing to do, at most about `budget_s` seconds."""
        deadline = time.monotonic() + budget_s
        self.discover(matching(self.settings.sources))
        epoch = self.registry.epoch()
        self._renew()
        while True:
            progressed = self._round(epoch)
            blocked = any(not stream.read_up() for stream in self.streams.values())
            if self.settings.loop_mode or not blocked or time.monotonic() >= deadline:
                break
            if not progressed:
                time.sleep(POLL_S)
        self._drop_finished()

    def discover(self, paths: Iterable[Path]) -> None:
        """Open the sources at some paths that are not open yet."""
        for path in paths:
            try:
                status = path.stat()
                known = self._paths.get(path)
                is_open = known and known[0] == (status.st_dev, status.st_ino) and known[1] in self.streams
                if not is_open and self._elsewhere.get(path, 0.0) <= time.monotonic():
                    self._open(path)
            except OSError as error:
                log.warning("cannot read %s: %s", path, error.strerror)

    def close(self) -> None:
        """Give all sources up."""
        for stream in self.streams.values():
            stream.release()
        self.streams.clear()

    def _open(self, path: Path) -> None:
        settings = self.settings
        final = self.final or settings.loop_mode
        source = SourceFile.open(path, max_record=settings.max_record_bytes, final=final)
        if source is None:
            return
        future_us = NO_FUTURE_LIMIT_US if settings.loop_mode else settings.future_limit_s * 1_000_000
        name = source_id(source.head.fingerprint, str(path))
        if name in self.streams:
            self.streams.pop(name).release()
        stream = Stream(
            edge=settings.edge,
            registry=self.registry,
            publish=self.publish,
            source=source,
            source_id=name,
            reader=Reader(settings.max_record_bytes, Limits(int(settings.timestamp_floor.timestamp()) * 1_000_000, future_us)),
            batch_size=settings.batch_size,
            catch_up_size=settings.catch_up_size,
            window_bytes=settings.window_bytes,
            after_s=settings.republish_after_s,
            replay=settings.loop_mode,
        )
        try:
            taken = self._adopt(stream) and stream.take(now_us=broker.now_us(self.client))
        except BaseException:
            source.close()
            raise
        if not taken:
            source.close()
            self._elsewhere[path] = time.monotonic() + settings.lease_s / 3
            return
        self._elsewhere.pop(path, None)
        self._paths[path] = (source.identity(), name)
        self.streams[name] = stream
        if source.head.format is None and stream.window.end == 0:
            log.warning("%s has no header this version knows; it is not read", path)

    def _adopt(self, stream: Stream) -> bool:
        """Let a renamed file go on under its new name. False while another streamer still works on it."""
        known = self.registry.known()
        if stream.source_id in known:
            return True
        for old_id, state in known.items():
            same_file = state["inode"] == list(stream.source.identity()) or not Path(state["path"]).exists()
            if state["fingerprint"] == stream.source.head.fingerprint and same_file:
                if old_id in self.streams:
                    self.streams.pop(old_id).release()
                if self.registry.claim(old_id) is None:
                    return False
                self.registry.claim(stream.source_id, state)
                self.registry.forget(old_id)
                return True
        return True

    def _round(self, epoch: str) -> bool:
        evidence = self._evidence(epoch)
        now_us = broker.now_us(self.client)
        progressed = False
        for name, stream in list(self.streams.items()):
            room = self.settings.edge_bytes - sum(each.window.span for each in self.streams.values())
            try:
                stream.begin_pass(now_us)
                progressed |= stream.step(Moment(now_us, evidence, room))
            except (TakenError, ChangedError) as error:
                log.info("%s: %s", type(error).__name__, stream.source.path)
                self._drop(name)
            except OSError as error:
                if isinstance(error, redis.RedisError):
                    raise
                log.warning("cannot read %s: %s", stream.source.path, error.strerror)
                self._drop(name)
        # The next round begins with another source, so that none starves when the edge's budget is short.
        if len(self.streams) > 1:
            first = next(iter(self.streams))
            self.streams[first] = self.streams.pop(first)
        return progressed

    def _evidence(self, epoch: str) -> Evidence:
        now, after_s = clock.now(), self.settings.republish_after_s
        flights = [f for stream in self.streams.values() for f in stream.window.flights if not f.acked]
        evidence = Evidence(
            epoch, acked_sent_s=max(filter(None, (s.acked_sent_s for s in self.streams.values())), default=None)
        )
        if not any(flight.age_s(now) >= after_s for flight in flights):
            return evidence
        unacked = Keys(self.settings.key_prefix).unacked("central")["unacked_key"]
        waiting = self.client.llen(self.settings.ingest_queue) or self.client.hlen(unacked)
        return replace(evidence, queue_empty=not waiting)

    def _renew(self) -> None:
        if time.monotonic() - self._renewed_s < self.settings.lease_s / 4:
            return
        self._renewed_s = time.monotonic()
        if self.standing:
            self.registry.expect(self.settings.stream_interval_s + self.settings.lease_s)
        now_us = broker.now_us(self.client)
        for name, stream in list(self.streams.items()):
            try:
                stream.renew(now_us)
            except TakenError:
                self._drop(name)

    def _drop_finished(self) -> None:
        """Let go of files whose path leads elsewhere by now, once they are read up and acknowledged."""
        for name, stream in list(self.streams.items()):
            if self._leads_there(stream):
                continue
            if not stream.source.final:
                # A last line without an end is complete now: the next tick reads it.
                stream.source.final = True
            elif stream.read_up() and stream.idle():
                self._drop(name)

    def _leads_there(self, stream: Stream) -> bool:
        try:
            status = stream.source.path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == stream.source.identity()

    def _drop(self, name: str) -> None:
        stream = self.streams.pop(name)
        self._paths.pop(stream.source.path, None)
        stream.release()


def matching(patterns: Iterable[str]) -> list[Path]:
    """The files that glob patterns match, in order."""
    # Not Path.glob, which takes no absolute patterns.
    found = {Path(path) for pattern in patterns for path in glob.glob(pattern, recursive=True)}  # noqa: PTH207
    return sorted(path for path in found if path.is_file())
