"""One source being streamed: the file, its window, its outbox and its claim, joined.

A step collects acknowledgements, moves the committed offset, cuts new batches, saves the window, and only then publishes:
what is on the wire is always in the window, so a streamer killed anywhere publishes the same batches again or none.

What a stream does whose bytes are gone is told in `phase`. New batches are cut in `next_batches`, lost ones in `again`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from dataclasses import replace as with_fields

from msgspec.structs import replace

from telemetry.monitoring.counters import stations
from telemetry.progress.claims import Claims
from telemetry.progress.losses import LostRange
from telemetry.progress.rewind import forgotten_of, set_back
from telemetry.progress.state import SourceState
from telemetry.progress.window import Window
from telemetry.readings.digests import wire_path
from telemetry.streamer import clock
from telemetry.streamer.again import cut_again
from telemetry.streamer.batching import CutBatch, Cutter
from telemetry.streamer.first_state import first_state, goes_on, read_otherwise
from telemetry.streamer.holes import Holes
from telemetry.streamer.kept import Kept, Memory
from telemetry.streamer.modes import Replay, Tail
from telemetry.streamer.next_batches import cut_next, flight_of
from telemetry.streamer.outbox import Outbox
from telemetry.streamer.phase import CHANGED, GONE, READING, Draining, Phase
from telemetry.streamer.proof import Forgotten, Proof
from telemetry.streamer.source import SourceFile
from telemetry.streamer.step import ChangedError, Done, EndedError, Moment
from telemetry.streamer.tally import Tally
from telemetry.streamer.verified import Verified

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Stream:
    """A claimed source. `after_s` is how old a batch gets before it may be lost."""

    claims: Claims
    lose: Callable[[LostRange], None]
    source: SourceFile
    source_id: str
    mode: Tail | Replay
    outbox: Outbox
    window_bytes: int
    after_s: float
    holes: Holes
    phase: Phase = READING
    tally: Tally = field(default_factory=Tally)
    proof: Proof = field(default_factory=Proof)
    acked_sent_s: float | None = None
    window: Window = field(init=False)
    _verified: Verified = field(init=False)
    # What does not change of the state, whatever is read.
    _base: SourceState = field(init=False)
    _kept: Kept = field(init=False)
    _taken_s: float = 0.0
    _at_end: bool = False
    _must_hear: bool = False

    def __post_init__(self) -> None:
        self._kept = Kept(self.claims, self.source_id)

    def take(self, now: Callable[[], int]) -> bool:
        """Claim the source and continue where its state ends. False if another streamer holds it. `now`: the broker's clock."""
        claim = self._kept.take()
        if claim is None:
            return False
        self._taken_s = clock.now().seconds
        former, is_there = claim.state, self.phase == READING
        if former is not None and goes_on(former, self.source, replays=self.mode.replays, is_there=is_there):
            self._resume(former)
        else:
            if former is not None:
                log.warning("%s was read in another way; it is read again from its beginning", self.source.path)
            self._begin(now())
        if is_there:
            self._kept.remember_header(self.source, self.window.next.header)
        return True

    def idle(self) -> bool:
        """Whether everything read is acknowledged, and nothing is held back."""
        return not (self.window.flights or self._must_hear) and self.outbox.is_empty() and not self.holes.is_holding

    def awaits(self) -> bool:
        """Whether acknowledgements may come."""
        return bool(self.window.flights) or self.proof.awaits

    def read_up(self) -> bool:
        """Whether no complete row is left to read: all of a closed file, or of a growing one for now."""
        return self.source.is_ready and (self.window.end >= self.source.size() or self._at_end)

    @property
    def seen_bytes(self) -> int:
        """How large the file was when it was looked at last."""
        return self._verified.size_bytes

    def step(self, moment: Moment) -> Done:
        """Do what can be done now. If that was anything, another step may find more.

        Raises TakenError or ChangedError when the source must be opened anew. After an error of the broker the next
        step goes on where this one stopped.
        """
        self._kept.begin()
        acked, now_us, anchor_us = moment.acked, moment.now_us, self.mode.reader.anchor_us
        if self.phase == READING and not self.source.is_ready:
            return Done(self._prepare(now_us), 0)
        self._collect(self.proof.settled(acked))
        self._look()
        self._must_hear = self.proof.meet(moment.generation)
        if forgotten := self.proof.answered(acked):
            self._set_back(forgotten, now_us)
        again, copies = self._cut_again(moment)
        new = self._cut_new(moment) if self.phase == READING else []
        self.outbox.add("again", again)
        self.outbox.add("first", new)
        if acked or self._kept.saved is None or self._kept.saved.window != self.window:
            self._save(now_us, acked)
        self.outbox.send(self.window, anchor_us, now_us)
        if not (again or acked):
            self.outbox.ask(self.window, anchor_us, now_us, self.after_s)
        may_ask, first = copies < moment.copies, self._base.first_record
        if question := self.proof.due(first, self.window.committed, self.after_s) if may_ask else None:
            self.outbox.put(question, anchor_us, now_us)
        if isinstance(self.phase, Draining) and not self.window.flights:
            self._end(self.phase)
        if self.source.is_packed and self.idle() and self.read_up() and not self.mode.replays:
            self.source.settle()
        return Done(bool(acked or again or new), copies + bool(question))

    def forget_unread(self) -> None:
        """Remove a source of which nothing was read: its file is known by something else from now on."""
        if not self.window.flights and self.window.committed == self.source.head.end:
            self._kept.end()

    def renew(self, now_us: int) -> None:
        """Keep the lease, and save how large the file is by now. Raises TakenError if another streamer has taken the source."""
        self._look()
        self._kept.begin()
        self._heed(self._kept.renew(self._state(now_us)))

    def release(self) -> None:
        """Give the source up."""
        try:
            self._kept.release()
        finally:
            self.source.close()

    def begin_pass(self, now_us: int) -> None:
        """In a replay, begin again once a pass is acknowledged that is read up, or left behind by the clock."""
        is_played = self.mode.replays and self.read_up() and self.window.end > self.source.head.end
        if (is_played or self.mode.is_left_behind) and not self.window.flights:
            self._begin(now_us)

    def _prepare(self, now_us: int) -> bool:
        """Unpack a part of a packed file. Says if anything was done."""
        if self._kept.saved is None or self._kept.saved.size_bytes != self._verified.size_bytes:
            self._save(now_us)
        self._look()
        return self.source.prepare()

    def _resume(self, state: SourceState) -> None:
        self.window = state.window
        self._verified = Verified.resumed(self.source, state)
        self._kept.resume(state)
        self.tally.rows_read, self.tally.unread = state.rows_read, state.unread_lines
        self.mode.resume(state.pace)
        self.proof.generation = state.generation
        # Of a file that is gone, only its state still tells what it was.
        self._base = state if self.phase == GONE else self._first_state()
        if self.phase == READING and (window := read_otherwise(state, self._cutter(), self._verified)):
            self.window = window
            self._verified.advance(window.committed)

    def _begin(self, now_us: int) -> None:
        self.window = Window.at(self.source.head.first)
        self._verified = Verified.up_to(self.source, self.source.head.end)
        self._kept.forget()
        self._base = self._first_state()
        self.outbox.clear()
        self.tally.forget()
        self.mode.begin(now_us)
        self._save(now_us)

    def _collect(self, acked: dict[str, str]) -> None:
        now = clock.now()
        sent = [f.sent_s for f in self.window.flights if f.batch_id in acked and f.tries == 1 and f.has_age(now)]
        sent += self.outbox.answered(acked)
        for batch_id, status in acked.items():
            self.tally.settled(batch_id, status)
        sent += [] if self.acked_sent_s is None else [self.acked_sent_s]
        self.acked_sent_s = max(sent, default=None)
        self.window = self.window.acknowledge(frozenset(acked))

    def _set_back(self, forgotten: Forgotten, now_us: int) -> None:
        """Go back to what the ledger holds. Flights are published anew: some may be acknowledged for what was forgotten."""
        held, committed = forgotten.held, self.window.committed
        if held.end < committed:
            log.warning("%s: the ledger holds %d of %d bytes that were committed", self.source.path, held.end, committed)
        self.proof.generation = forgotten.generation
        if isinstance(self.phase, Draining):
            self._lose(forgotten_of(self.window, held), self.phase)
            return
        state = set_back(self._state(now_us), held)
        self.outbox.clear()
        if goes_on(state, self.source, replays=self.mode.replays, is_there=True):
            self._resume(state)
        else:
            self._begin(now_us)
        self._kept.saved = None
        if self.source.is_packed:
            # Its content may have been let go of.
            self._save(now_us)
            raise ChangedError("it is read again")

    def _look(self) -> None:
        """See how far the file goes now, and whether the bytes that were read are still there."""
        if self.source.is_outdated():
            raise ChangedError("it was packed anew")
        if self.phase == READING and self.source.is_ready and not self._verified.look():
            self.phase = CHANGED

    def _cut_again(self, moment: Moment) -> tuple[list[CutBatch], int]:
        """Cut again what must be published again, and count copies; a batch whose bytes are no longer there is lost."""
        now, evidence = clock.now(), with_fields(moment.evidence, taken_s=self._taken_s)
        suspects = self.window.suspects(evidence, now, self.after_s)
        again, copies, lost, self.window = cut_again(self._cutter(), self.window, suspects, moment, now)
        if lost:
            reason = self.phase = self.phase if isinstance(self.phase, Draining) else CHANGED
            self._lose(lost, reason)
        return again, copies

    def _lose(self, stretches: Iterable[tuple[int, int]], how: Draining) -> None:
        for start, end in stretches:
            # What a replay shows is no record of anything, and of a foreign file there was nothing to read.
            if end > start and not self.mode.replays and not self._base.foreign:
                self.lose(LostRange(wire_path(self.source.path), self.source.head.fingerprint, start, end, how.reason))

    def _end(self, how: Draining) -> None:
        """Give up a source of which nothing is in flight and nothing is left to read."""
        self._lose([(self.window.end, self._verified.size_bytes)], how)
        self._kept.end()
        raise EndedError(how.reason)

    def _cut_new(self, moment: Moment) -> list[CutBatch]:
        self._at_end = False
        new = cut_next(self.mode, self.window, self._verified, self.holes, moment, self.window_bytes)
        if new is None:
            self.phase = CHANGED
            return []
        for batch in new.batches:
            self._launch(batch, moment)
        self._at_end = new.is_all
        if new.batches:
            self._verified.advance(self.window.end)
        return new.batches

    def _launch(self, batch: CutBatch, moment: Moment) -> None:
        self.tally.read(batch.batch_id, batch.readings, batch.unread)
        stations.read(batch.readings.rows)
        self.window = self.window.publish(flight_of(batch, moment))
        if batch.extent.end_header != batch.extent.header:
            self._kept.remember_header(self.source, self.window.next.header)

    def _cutter(self) -> Cutter:
        return Cutter(self.source, self.mode.reader)

    def _save(self, now_us: int, acked: Iterable[str] = ()) -> None:
        self._heed(self._kept.save(self._state(now_us), acked))

    def _heed(self, memory: Memory) -> None:
        if memory.was_lost:  # The database may have been restored together with the broker.
            self.proof.doubt()
        if memory.forgotten:
            self.window = self.window.forgotten(*memory.forgotten, clock.now())

    def _first_state(self) -> SourceState:
        return first_state(self.source, self.window, self._verified.prefix, self._cutter().interpretation())

    def _state(self, now_us: int) -> SourceState:
        return replace(
            self._kept.grown(self._base, self.source, self._verified.size_bytes, self.window, now_us),
            window_bytes=self.window_bytes,
            rows_read=self.tally.rows_read,
            unread_lines=self.tally.unread,
            series_column=self.source.series_column(),
            prefix=self._verified.prefix,
            generation=self.proof.generation,
            gone=not self.source.is_at_its_path(),
            **self.mode.pace()._asdict(),
        )
