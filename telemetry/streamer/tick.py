"""A tick over the sources of an edge: finds files, keeps the leases, lets each stream take its steps in turn.

Which files are open is `held`'s. What another replica holds is left to it, and so is its part of what nobody holds
(`membership`).
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

import redis

from telemetry import broker
from telemetry.progress.claims import Claims
from telemetry.progress.evidence import Evidence
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Losses, LostRange
from telemetry.progress.machines import Machines
from telemetry.readings.digests import wire_path
from telemetry.settings import Settings
from telemetry.streamer import clock
from telemetry.streamer.adoption import Adoption
from telemetry.streamer.begun import REASON as FORGOTTEN
from telemetry.streamer.contents import Bench
from telemetry.streamer.followed import Listener
from telemetry.streamer.held import Held
from telemetry.streamer.machine import Machine
from telemetry.streamer.matching import matching
from telemetry.streamer.membership import Membership, part
from telemetry.streamer.outbox import Publish
from telemetry.streamer.phase import GONE
from telemetry.streamer.pool import Pool
from telemetry.streamer.queue_watch import QueueWatch
from telemetry.streamer.resting import Rest
from telemetry.streamer.step import Moment
from telemetry.streamer.stream import Stream
from telemetry.trust.signatures import Signer

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
# Packed files that are unpacked at a time: each takes the room of its content on the disk.
MAX_UNPACKED = 4
# The ledger is asked of one source so often, whatever happens: an edge that is idle learns in this way what was forgotten.
LOOK_EVERY_S = 60.0


class Round(NamedTuple):
    """What one step of each source came to: whether anything was done, whether rows are left to publish, how many copies."""

    progressed: bool
    rows_left: bool
    copies: int


@dataclass(slots=True)
class Streamer:
    """The sources one streamer process works on. `final` says that no file will grow but those in `growing`, as in `ingest`.

    The processes of a `pool` read parts of large files. Who waits for all of some files listens. `standing` says that a
    person should be told when no streamer of this edge ticks any more, and that no other machine may stream as this edge.
    """

    settings: Settings
    client: redis.Redis
    publish: Publish
    final: bool = False
    growing: Collection[str] = ()
    standing: bool = False
    pool: Pool | None = None
    listener: Listener = field(default_factory=Listener)
    claims: Claims = field(init=False)
    _owner: str = field(init=False)
    held: Held = field(init=False)
    bench: Bench = field(init=False)
    _membership: Membership = field(init=False)
    _queue_watch: QueueWatch = field(init=False)
    _losses: Losses = field(init=False)
    _machine: Machine | None = field(init=False)
    _live: int = 1
    _renewed_s: float = field(default=-math.inf)
    _generation: str = ""
    _looked_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        settings, keys = self.settings, Keys(self.settings.key_prefix)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self.claims = Claims(self.client, keys, settings.edge, self._owner, settings.lease_s, Signer.of(settings).opened)
        self._losses = Losses(self.client, keys, settings.edge)
        self.bench = Bench(settings.close_after_s, None if settings.loop_mode else MAX_UNPACKED)
        adoption = Adoption(settings, self.client, self.claims, self._lose, self.bench, self.pool)
        self.held = Held(settings, self.client, self.claims, adoption, self.publish, self.final, self.growing, self.listener)
        self._membership = Membership(self.client, keys, settings.edge, settings.lease_s)
        self._queue_watch = QueueWatch(self.client, settings)
        machines = Machines(self.client, keys, settings.edge, settings.lease_s)
        self._machine = Machine(settings, machines) if self.standing else None
        if self.standing and not settings.state_dir:
            log.warning("TELEMETRY_STATE_DIR is not set: a renamed file is forgotten if the broker loses its keys just then")

    def tick(self, budget_s: float) -> None:
        """Work on all sources until there is nothing to do, at most about `budget_s` seconds."""
        if self._machine is not None and not self._machine.streams():
            # Its files may have been read by the other one meanwhile.
            self.held.resting.wake_all()
            self.close()
            return
        deadline = time.monotonic() + budget_s
        names = matching(self.settings.sources)
        names += self.held.renamed.beside(names)
        paths = self.held.resting.awake(names)
        self._renew(paths)
        # `ingest` has files of its own: those of them that wait for a descriptor are not forgotten here.
        if self.settings.sources:
            self.held.discover(paths, part(len(paths), self._live), max(budget_s, MIN_BUDGET_S))
        self.held.take_orphans(names)
        pause_s, copies = MIN_PAUSE_S, MAX_COPIES
        while True:
            done = self._round(copies)
            copies -= done.copies
            if self.settings.loop_mode or not done.rows_left or time.monotonic() >= deadline:
                break
            pause_s = MIN_PAUSE_S if done.progressed else min(2 * pause_s, MAX_PAUSE_S)
            if not done.progressed:
                time.sleep(min(pause_s, max(0.0, deadline - time.monotonic())))
        self.held.drop_finished()
        self.held.let_go()
        self.held.note()

    def discover(self, paths: Iterable[Path | str]) -> None:
        """Open the sources at some paths that are not open yet."""
        self.held.discover(self.held.resting.awake(map(str, paths)))

    @property
    def streams(self) -> dict[str, Stream]:
        """The sources that are open, by id."""
        return self.held.streams

    @property
    def rests(self) -> Collection[Rest]:
        """The sources that are committed, and let go of until their files change."""
        return self.held.resting.all()

    def close(self) -> None:
        """Give all sources up."""
        for stream in self.streams.values():
            stream.release()
        self.streams.clear()
        self._membership.leave(self._owner)

    def _round(self, copies: int) -> Round:
        """One step of each source, which publish at most so many copies together."""
        names = list(self.streams)
        # First, so that what went from the queue before it looked is among the acknowledged.
        sighting = self._queue_watch.look(self.streams.values())
        signals, asked_s = self.claims.signals(self._asking(names)), time.monotonic()
        evidence, acked = Evidence(signals.epoch, *sighting), signals.acks
        ahead_us = max(clock.ahead_us(signals.now_us), signals.database_ahead_us)
        self._ask_the_ledger(signals.generation)
        progressed, rows_left, copies_left = False, False, copies
        room = self.settings.edge_bytes - sum(stream.window.span for stream in self.streams.values())
        for at, name in enumerate(names):
            stream = self.streams[name]
            if stream.awaits() and (name not in acked or time.monotonic() - asked_s > FRESH_S):
                acked, asked_s = self.claims.signals(self._asking(names[at:])).acks, time.monotonic()
            before = stream.window.span
            with self.held.apart(name, stream):
                stream.begin_pass(signals.now_us)
                acknowledgements = acked.get(name, {})
                moment = Moment(signals.now_us, acknowledgements, evidence, room, copies_left, signals.generation, ahead_us)
                done = stream.step(moment)
                self.listener.stepped(stream)
                progressed, copies_left = progressed | done.anything, copies_left - done.copies
                rows_left |= not stream.read_up() or stream.window.was_swallowed(evidence.epoch)
            room += before - (stream.window.span if name in self.streams else 0)
        # The next round begins with another source, so that none starves when the edge's budget is short.
        if len(self.streams) > 1:
            first = next(iter(self.streams))
            self.streams[first] = self.streams.pop(first)
        return Round(progressed, rows_left, copies - copies_left)

    def _ask_the_ledger(self, generation: str) -> None:
        """Ask of one source in turn whether the ledger holds it; of all of them in another generation of the database."""
        if generation not in {"", self._generation}:
            if self._generation:
                self.held.resting.wake_all()
            self._generation = generation
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_EVERY_S and self.streams:
            self._looked_s = now_s
            min(self.streams.values(), key=lambda stream: stream.proof.asked_s).proof.look()

    def _asking(self, names: Iterable[str]) -> list[str]:
        """The first of some sources that wait for acknowledgements, as many as are asked for together."""
        return list(islice((name for name in names if self.streams[name].awaits()), MAX_ASKED))

    def _lose(self, lost: LostRange) -> None:
        self.listener.lost(lost)
        self._losses.record(lost)

    def _renew(self, paths: list[str]) -> None:
        if time.monotonic() - self._renewed_s < self.settings.lease_s / 4:
            return
        self._renewed_s = time.monotonic()
        if self.standing:
            self.claims.expect(self.settings.stream_interval_s + self.settings.lease_s)
        now_us = broker.now_us(self.client)
        for name, stream in list(self.streams.items()):
            with self.held.apart(name, stream):
                stream.renew(now_us)
        committed = {
            (wire_path(stream.source.path), stream.source.head.fingerprint): stream.window.committed
            for stream in self.streams.values()
        }
        self._losses.withdraw(committed, (GONE.reason, FORGOTTEN))
        live, before = self._membership.count(self._owner), self._live
        self._live = live
        if live != before:
            self.held.deferred.clear()
        if live > before:
            self.held.give_up(paths, part(len(paths), live))


def budget_s(interval_s: float) -> float:
    """How long a tick may work where one comes each `interval_s` seconds."""
    return min(max(MIN_BUDGET_S, interval_s), MAX_BUDGET_S)
