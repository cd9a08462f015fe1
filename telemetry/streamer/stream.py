"""One source being streamed: the file, its window, its outbox and its entry in the registry, joined.

A step collects acknowledgements, moves the committed offset, cuts new batches, saves the window, and only then publishes:
what is on the wire is always in the window, so a streamer killed anywhere publishes the same batches again or none.

Once the bytes that were read are no longer there, nothing more is read: what is in flight is waited for, what of it must be
published again and cannot is lost, and so is what was seen and not read. Then the source ends, to be opened anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from telemetry.monitoring.counters import stations
from telemetry.progress.growth import Growth
from telemetry.progress.losses import Range, merged
from telemetry.progress.registry import Claim, Registry, State
from telemetry.progress.window import MAX_FLIGHTS, Evidence, Flight, Window
from telemetry.readings.digests import wire_path
from telemetry.readings.extent import Extent
from telemetry.streamer import clock
from telemetry.streamer.batching import MAX_BLOCK_BYTES, CutBatch, Cutter
from telemetry.streamer.modes import Replay, Tail
from telemetry.streamer.outbox import Outbox
from telemetry.streamer.source import Prefix, SourceFile, Stamp

log = logging.getLogger(__name__)

CHANGED = "its file was cut or written anew"
GONE = "its file is gone"

Lose = Callable[[Range], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a step needs to know: the broker's clock, acknowledgements, evidence of losses, bytes and copies it may publish."""

    now_us: int
    acked: dict[str, str]
    evidence: Evidence
    room_bytes: int
    copies: int


class Done(NamedTuple):
    """What a step has done: whether anything, and how many batches it published again."""

    anything: bool
    copies: int


@dataclass(slots=True)
class Stream:
    """A claimed source. `after_s` is how old a batch gets before it may be lost, `lost_to` what became of bytes not there."""

    registry: Registry
    lose: Lose
    source: SourceFile
    source_id: str
    mode: Tail | Replay
    outbox: Outbox
    window_bytes: int
    after_s: float
    lost_to: str = ""
    claim: Claim = field(init=False)
    window: Window = field(init=False)
    rows_read: int = 0
    dead_batches: int = 0
    dead_rows: int = 0
    acked_sent_s: float | None = None
    _at_end: bool = False
    _prefix: Prefix = field(init=False)
    _taken_s: float = 0.0
    _size: int = 0
    _stamp: Stamp | None = None
    _rows: dict[str, int] = field(default_factory=dict)
    _unsaved: bool = False
    _growth: Growth = field(default_factory=Growth)
    _saved_size: int = -1
    _kept: State = field(default_factory=dict)

    def take(self, *, now_us: int) -> bool:
        """Claim the source and continue where its state says. False if another streamer holds it."""
        claim = self.registry.claim(self.source_id)
        if claim is None:
            return False
        self.claim = claim
        self._resume(claim.state, now_us)
        return True

    def idle(self) -> bool:
        """Whether everything read is acknowledged."""
        return not self.window.flights and self.outbox.is_empty()

    def read_up(self) -> bool:
        """Whether no complete row is left to read: all of a closed file, or of a growing one for now."""
        return self.window.end >= self.source.size() or self._at_end

    def step(self, moment: Moment) -> Done:
        """Do what can be done now. If that was anything, another step may find more.

        Raises TakenError or ChangedError when the source must be opened anew. After an error of the broker the next
        step goes on where this one stopped.
        """
        acked, now_us, anchor_us = moment.acked, moment.now_us, self.mode.reader.anchor_us
        self._collect(acked)
        self._look()
        again = self._again(moment)
        new = [] if self.lost_to else self._cut_new(moment)
        self.outbox.add("again", again)
        self.outbox.add("first", new)
        if self._unsaved or acked:
            self._save(now_us, acked)
        self.outbox.send(self.window, anchor_us, now_us)
        if not (again or acked):
            self.outbox.ask(self.window, anchor_us, now_us, self.after_s)
        if self.lost_to and not self.window.flights:
            self._end()
        return Done(bool(acked or again or new), len(again))

    def renew(self, now_us: int) -> None:
        """Keep the lease, and say how large the file is by now. Raises TakenError if another streamer has taken the source."""
        self._look()
        changed = self._unsaved or self._size != self._saved_size
        self._checked(self.registry.save(self.claim, self._state(now_us) if changed else None), now_us)

    def release(self) -> None:
        """Give the source up."""
        try:
            self.registry.release(self.claim)
        finally:
            self.source.close()

    def begin_pass(self, now_us: int) -> None:
        """In a replay, begin again once a pass is read up and acknowledged."""
        if self.mode.replays and not self.window.flights and self.read_up() and self.window.end > self.source.head.end:
            self._begin(now_us)
            self._save(now_us)

    def _resume(self, state: State | None, now_us: int) -> None:
        self._taken_s = clock.now().seconds
        if state is None or (state["anchor"] is not None) != self.mode.replays:
            if state:
                log.warning("%s was read in another mode; it is read again from its beginning", self.source.path)
            self._begin(now_us)
            self._save(now_us)
            return
        self.window = Window.from_json(state["window"])
        self._prefix = Prefix(*state["prefix"])
        self._growth = Growth.from_json(state.get("grown", ()))
        self._size = state["size"]
        self.rows_read = state["rows"]
        self.mode.resume(state)
        if self.lost_to == GONE:
            # What nobody can read any more says nothing of the file that was.
            self._kept = {name: state[name] for name in ("foreign", "inode", "begin", "how") if name in state}
        how = self._cutter().interpretation()
        if state.get("how", how) != how and self.source.still_has(self._prefix):
            # Its flights cannot be cut again; read otherwise, they are other batches.
            self._move(Window(self.window.committed, self.window.line))
            self._prefix = self.source.prefix(self.window.end)

    def _begin(self, now_us: int) -> None:
        head = self.source.head
        self._size = self.source.size()
        self.window = Window(head.end, head.lines + 1)
        self._prefix = self.source.prefix(head.end)
        self._growth = Growth()
        self._unsaved = True
        self.outbox.clear()
        self._rows.clear()
        self.mode.begin(now_us)

    def _collect(self, acked: dict[str, str]) -> None:
        boot = clock.now().boot
        sent = [f.sent_s for f in self.window.flights if f.batch_id in acked and f.tries == 1 and f.boot == boot]
        sent += self.outbox.answered(acked)
        for batch_id, status in acked.items():
            rows = self._rows.pop(batch_id, None)
            if status == "dead" and rows is not None:
                self.dead_batches, self.dead_rows = self.dead_batches + 1, self.dead_rows + rows
        if self.acked_sent_s is not None:
            sent.append(self.acked_sent_s)
        self.acked_sent_s = max(sent, default=None)
        self._move(self.window.acknowledge(frozenset(acked)))

    def _move(self, window: Window) -> None:
        self._unsaved |= window != self.window
        self.window = window

    def _look(self) -> None:
        """See how far the file goes now, and whether what was read of it is still there."""
        stamp = self.source.stamp()
        if self.lost_to or (stamp == self._stamp and stamp.size == self.window.end):
            return
        if self.source.still_has(self._prefix):
            self._stamp, self._size = stamp, stamp.size
        else:
            self.lost_to = CHANGED

    def _again(self, moment: Moment) -> list[CutBatch]:
        """Cut again what must be published again; what is no longer there to be cut is lost."""
        again: list[CutBatch] = []
        lost: list[Flight] = []
        now, evidence = clock.now(), replace(moment.evidence, taken_s=self._taken_s)
        for flight in self.window.suspects(evidence, now, self.after_s):
            if len(again) >= moment.copies:
                break
            extent = Extent(flight.start, flight.end, flight.line, flight.end_line)
            found = self._cutter().again(extent, now_us=moment.now_us)
            if found and found.batch_id == flight.batch_id:
                self._move(self.window.sent_again(flight.batch_id, now, evidence.epoch))
                again.append(found)
                continue
            lost.append(flight)
        if lost:
            self.lost_to = self.lost_to or CHANGED
            for start, end in merged((each.start, each.end) for each in lost):
                self._lose(start, end)
            self._move(self.window.acknowledge(frozenset(each.batch_id for each in lost)))
        return again

    def _cutter(self) -> Cutter:
        return Cutter(self.source, self.mode.reader)

    def _lose(self, start: int, end: int) -> None:
        # What a replay shows is no record of anything.
        if end > start and not self.mode.replays:
            self.lose(Range(wire_path(self.source.path), self.source.head.fingerprint, start, end, self.lost_to))

    def _end(self) -> None:
        """Give up a source of which nothing is in flight and nothing is left to read."""
        self._lose(self.window.end, self._size)
        self.registry.end(self.claim)
        raise ChangedError(self.lost_to)

    def _cut_new(self, moment: Moment) -> list[CutBatch]:
        self._at_end = False
        # A block a step, however wide the window: the centre is to have something to do while the next one is read.
        room = min(self.window_bytes - self.window.span, moment.room_bytes, MAX_BLOCK_BYTES)
        flights = MAX_FLIGHTS - len(self.window.flights)
        if self._size == self.window.end or room <= 0 or flights <= 0:
            return []
        coming = self.mode.coming(self.window, self._size - self.window.end, room, moment.now_us)
        new = list(islice(coming, flights))
        if not self.source.still_has(self._prefix):
            # It changed while it was read: there is no telling what was read.
            self.lost_to = CHANGED
            return []
        for found in new:
            room -= found.extent.size_bytes
            self._launch(found, moment)
        self._at_end = room > 0 and len(new) < flights and not self.mode.holds_back
        if new:
            self._prefix = self.source.prefix(self.window.end)
        return new

    def _launch(self, found: CutBatch, moment: Moment) -> None:
        now, epoch = clock.now(), moment.evidence.epoch
        self.rows_read += found.readings.rows
        self._rows[found.batch_id] = found.readings.rows
        stations.read(found.readings.rows)
        place = (found.extent.start, found.extent.end, found.extent.line, found.extent.end_line)
        self._move(self.window.publish(Flight(found.batch_id, *place, now.seconds, now.boot, epoch, moment.now_us)))

    def _save(self, now_us: int, acked: Iterable[str] = ()) -> None:
        self._checked(self.registry.save(self.claim, self._state(now_us), acked), now_us)
        self._unsaved = False

    def _checked(self, saved: str, now_us: int) -> None:
        if saved == "taken":
            raise TakenError(self.source_id)
        if saved == "gone":
            # The broker lost its keys, we have not: go on from here rather than read everything again.
            claim = self.registry.claim(self.source_id, self._state(now_us))
            if claim is None:
                raise TakenError(self.source_id)
            self.claim = claim

    def _state(self, now_us: int) -> State:
        self._saved_size = self._size
        self._growth = self._growth.noted(self._size, self.window.committed, now_us)
        return {
            "path": str(self.source.path),
            "fingerprint": self.source.head.fingerprint,
            "foreign": self.source.head.format is None,
            "inode": list(self.source.identity()),
            "size": self._size,
            "grown": self._growth.to_json(),
            "window_bytes": self.window_bytes,
            "rows": self.rows_read,
            "begin": [self.source.head.end, self.source.head.lines + 1],
            "prefix": [self._prefix.start, self._prefix.end, self._prefix.digest],
            "how": self._cutter().interpretation(),
            "window": self.window.to_json(),
            **self.mode.to_state(),
            **self._kept,
        }


class ChangedError(Exception):
    """What was read of a file is no longer there, and nothing of it is in flight any more."""


class TakenError(Exception):
    """Another streamer has taken this source; what this one knows of it is no longer true."""
