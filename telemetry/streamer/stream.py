"""One source being streamed: the file, its window and its entry in the registry, joined.

A step collects acknowledgements, moves the committed offset, cuts new batches, saves the window, and only then publishes:
what is on the wire is always in the window, so a streamer killed anywhere publishes the same batches again or none.

Once the bytes that were read are no longer there, nothing more is read: what is in flight is waited for, what of it must be
published again and cannot is lost, and so is what was seen and not read. Then the source ends, to be opened anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from secrets import token_hex
from typing import Any

from telemetry.monitoring import trail
from telemetry.readings import wire
from telemetry.readings.identity import wire_path
from telemetry.readings.rows import Readings
from telemetry.streamer import clock
from telemetry.streamer.cut import MAX_BLOCK_BYTES, TYPICAL_ROW_BYTES, Cut, Reader, cut, cuts, first_timestamp_us
from telemetry.streamer.growth import Growth
from telemetry.streamer.lost import Range, merged
from telemetry.streamer.registry import Claim, Registry, State
from telemetry.streamer.source import Prefix, SourceFile, Stamp
from telemetry.streamer.window import MAX_FLIGHTS, PROBE, Evidence, Flight, Probe, Window

log = logging.getLogger(__name__)

# When so many batches are unread the streamer takes larger ones.
BEHIND_BATCHES = 20
# A replay that waits for longer says so.
LONG_WAIT_US = 3600 * 1_000_000
CHANGED = "its file was cut or written anew"
GONE = "its file is gone"

Message = tuple[dict[str, Any], bytes]
Publish = Callable[[Iterable[Message]], None]
Lose = Callable[[Range], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a step needs to know: the broker's clock, acknowledgements, evidence of losses, bytes and copies it may publish."""

    now_us: int
    acked: dict[str, str]
    evidence: Evidence
    room_bytes: int
    copies: int


@dataclass(slots=True)
class Stream:
    """A claimed source. Sizes and `after_s` are settings; `reader` carries the replay pass.

    `lost_to` says what became of the bytes once they are no longer there, `copied` how many batches the last step published
    again.
    """

    edge: str
    registry: Registry
    publish: Publish
    lose: Lose
    source: SourceFile
    source_id: str
    reader: Reader
    batch_size: int
    catch_up_size: int
    window_bytes: int
    after_s: float
    replay: bool
    lost_to: str = ""
    copied: int = 0
    claim: Claim = field(init=False)
    window: Window = field(init=False)
    rows_read: int = 0
    dead_batches: int = 0
    dead_rows: int = 0
    pass_end_us: int = 0
    _at_end: bool = False
    acked_sent_s: float | None = None
    _prefix: Prefix = field(init=False)
    _taken_s: float = 0.0
    _size: int = 0
    _stamp: Stamp | None = None
    # With the word for their publication: one that was refused stays what it was.
    _unsent: dict[str, tuple[str, Cut]] = field(default_factory=dict)
    _rows: dict[str, int] = field(default_factory=dict)
    _unsaved: bool = False
    _waiting: Cut | None = None
    _probe: Probe | None = None
    _row_bytes: float = TYPICAL_ROW_BYTES
    _growth: Growth = field(default_factory=Growth)
    _saved_size: int = -1
    _kept: State = field(default_factory=dict)
    _now_us: int = 0

    def take(self, *, now_us: int) -> bool:
        """Claim the source and continue where its state says. False if another streamer holds it."""
        self._now_us = now_us
        claim = self.registry.claim(self.source_id)
        if claim is None:
            return False
        self.claim = claim
        self._resume(claim.state, now_us)
        return True

    def idle(self) -> bool:
        """Whether everything read is acknowledged."""
        return not self.window.flights and not self._unsent

    def read_up(self) -> bool:
        """Whether no complete row is left to read: all of a closed file, or of a growing one for now."""
        return self.window.end >= self.source.size() or self._at_end

    def step(self, moment: Moment) -> bool:
        """Do what can be done now. Says whether anything was: then another step may find more.

        Raises TakenError or ChangedError when the source must be opened anew. After an error of the broker the next
        step goes on where this one stopped.
        """
        self._now_us = moment.now_us
        acked = moment.acked
        self._collect(acked)
        self._look()
        again = self._again(moment)
        new = [] if self.lost_to else self._cut_new(moment)
        for publication, cuts_made in (("again", again), ("first", new)):
            for each in cuts_made:
                self._unsent.setdefault(each.batch_id, (publication, each))
        if self._unsaved or acked:
            self._save(acked)
        self._send(moment)
        if not (again or acked):
            self._ask(moment)
        if self.lost_to and not self.window.flights:
            self._end()
        self.copied = len(again)
        return bool(acked or again or new)

    def renew(self, now_us: int) -> None:
        """Keep the lease, and say how large the file is by now. Raises TakenError if another streamer has taken the source."""
        self._now_us = now_us
        self._look()
        changed = self._unsaved or self._size != self._saved_size
        self._checked(self.registry.save(self.claim, self._state() if changed else None))

    def release(self) -> None:
        """Give the source up."""
        self.registry.release(self.claim)
        self.source.close()

    def begin_pass(self, now_us: int) -> bool:
        """In a replay, begin again once a pass is read up and acknowledged. Says whether a pass began."""
        if not self.replay or self.window.flights or not self.read_up() or self.window.end == self.source.head.end:
            return False
        self._begin(max(now_us, self.pass_end_us + 1))
        self._save()
        return True

    def _resume(self, state: State | None, now_us: int) -> None:
        self._taken_s = clock.now().seconds
        if state is None or (state["anchor"] is not None) != self.replay:
            if state:
                log.warning("%s was read in another mode; it is read again from its beginning", self.source.path)
            self._begin(now_us)
            self._save()
            return
        self.window = Window.from_json(state["window"])
        self._prefix = Prefix(*state["prefix"])
        self._growth = Growth.from_json(state.get("grown", ()))
        self._size = state["size"]
        self.rows_read = state["rows"]
        self.pass_end_us = state["pass_end"]
        self.reader = replace(self.reader, anchor_us=state["anchor"], first_us=state["first"])
        if self.lost_to == GONE:
            # What nobody can read any more says nothing of the file that was.
            self._kept = {name: state[name] for name in ("foreign", "inode", "begin")}
        how = self.reader.interpretation()
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
        self._unsent.clear()
        self._rows.clear()
        self._waiting = None
        if self.replay:
            first_us = first_timestamp_us(self.source, self.reader.max_record)
            self.reader = replace(self.reader, anchor_us=now_us, first_us=now_us if first_us is None else first_us)

    def _collect(self, acked: dict[str, str]) -> None:
        boot = clock.now().boot
        sent = [f.sent_s for f in self.window.flights if f.batch_id in acked and f.tries == 1 and f.boot == boot]
        if self._probe and self._probe.batch_id in acked:
            sent.append(self._probe.sent_s)
            self._probe = None
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

    def _again(self, moment: Moment) -> list[Cut]:
        """Cut again what must be published again; what is no longer there to be cut is lost."""
        again: list[Cut] = []
        lost: list[Flight] = []
        now, evidence = clock.now(), replace(moment.evidence, taken_s=self._taken_s)
        for flight in self.window.suspects(evidence, now, self.after_s):
            if len(again) >= moment.copies:
                break
            found = cut(
                self.source,
                self.reader,
                flight.start,
                flight.line,
                limit=wire.MAX_ROWS,
                now_us=moment.now_us,
                stop=flight.end,
            )
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

    def _lose(self, start: int, end: int) -> None:
        # What a replay shows is no record of anything.
        if end > start and not self.replay:
            self.lose(Range(wire_path(self.source.path), self.source.head.fingerprint, start, end, self.lost_to))

    def _end(self) -> None:
        """Give up a source of which nothing is in flight and nothing is left to read."""
        self._lose(self.window.end, self._size)
        self.registry.end(self.claim)
        raise ChangedError(self.lost_to)

    def _cut_new(self, moment: Moment) -> list[Cut]:
        self._at_end = False
        # A block a step, however wide the window: the centre is to have something to do while the next one is read.
        room = min(self.window_bytes - self.window.span, moment.room_bytes, MAX_BLOCK_BYTES)
        flights = MAX_FLIGHTS - len(self.window.flights)
        if self._size == self.window.end or room <= 0 or flights <= 0:
            return []
        new = list(islice(self._coming(room, self._size - self.window.end, moment.now_us), flights))
        if not self.source.still_has(self._prefix):
            # It changed while it was read: there is no telling what was read.
            self.lost_to = CHANGED
            return []
        now = clock.now()
        for found in new:
            room -= found.end - found.start
            self.rows_read += found.readings.rows
            self._rows[found.batch_id] = found.readings.rows
            trail.read(found.readings.rows)
            self._row_bytes = (found.end - found.start) / found.readings.rows
            self._move(
                self.window.publish(
                    Flight(
                        found.batch_id,
                        found.start,
                        found.end,
                        found.line,
                        found.end_line,
                        now.seconds,
                        now.boot,
                        moment.evidence.epoch,
                        moment.now_us,
                    )
                )
            )
        self._at_end = not (new or self._waiting) if self.replay else room > 0 and len(new) < flights
        if new:
            self._prefix = self.source.prefix(self.window.end)
        return new

    def _coming(self, room_bytes: int, unread_bytes: int, now_us: int) -> Iterable[Cut]:
        """The next batches: as many as there is room for, in a replay one."""
        if self.replay:
            return filter(None, [self._next(now_us)])
        limit = self.batch_size
        if unread_bytes > BEHIND_BATCHES * limit * self._row_bytes:
            # Several of them must fit into the window: one is read while another is stored.
            limit = max(limit, min(self.catch_up_size, int(self.window_bytes / 4 / self._row_bytes)))
        return cuts(
            self.source,
            self.reader,
            self.window.end,
            self.window.end_line,
            limit=limit,
            room_bytes=room_bytes,
            now_us=now_us,
            row_bytes=self._row_bytes,
        )

    def _next(self, now_us: int) -> Cut | None:
        """The next batch of a replay, which waits here while it would run ahead of the clock."""
        waited = self._waiting
        found = waited or cut(
            self.source, self.reader, self.window.end, self.window.end_line, limit=self.batch_size, now_us=now_us
        )
        self._waiting = None
        if found and len(found.readings.ts_us):
            latest_us = int(found.readings.ts_us.max())
            if latest_us > now_us:
                if not waited and latest_us > now_us + LONG_WAIT_US:
                    hours = (latest_us - now_us) / LONG_WAIT_US
                    log.warning("%s: line %d waits %.1f hours to be replayed", self.source.path, found.line, hours)
                self._waiting = found
                return None
            self.pass_end_us = max(self.pass_end_us, latest_us)
        return found

    def _send(self, moment: Moment) -> None:
        """Publish what is in the window and was not yet; what an error leaves is published by the next step."""
        first_published = {f.batch_id: f.first_published_us for f in self.window.flights}
        self._publish(
            (publication, self._batch(each, first_published[batch_id], moment.now_us))
            for batch_id, (publication, each) in self._unsent.items()
            if batch_id in first_published
        )
        self._unsent.clear()

    def _publish(self, batches: Iterable[tuple[str, wire.Batch]]) -> None:
        """Publish batches, each with the word for it; they count once the broker has taken all of them."""
        taken: list[tuple[dict[str, Any], str]] = []

        def encoded() -> Iterator[Message]:
            for publication, batch in batches:
                message = wire.encode(batch)
                taken.append((message[0], publication))
                yield message

        self.publish(encoded())
        for header, publication in taken:
            trail.published(header, publication)

    def _ask(self, moment: Moment) -> None:
        """Send a probe after batches that are overdue while nothing tells whether they are lost or late."""
        now = clock.now()
        if not self.window.overdue(now, self.after_s) or (self._probe and not self._probe.is_due_again(now, self.after_s)):
            return
        tries = self._probe.tries + 1 if self._probe else 1
        self._probe = Probe(PROBE + token_hex(16), now.seconds, tries)
        at, line = self.window.committed, self.window.line
        empty = Cut(self._probe.batch_id, at, at, line, line, Readings.of_quarantined([]))
        self._publish([("probe", self._batch(empty, moment.now_us, moment.now_us))])

    def _batch(self, each: Cut, published_us: int, now_us: int) -> wire.Batch:
        head = self.source.head
        return wire.Batch(
            edge=self.edge,
            batch_id=each.batch_id,
            source=wire.Source(
                id=self.source_id,
                path=wire_path(self.source.path),
                fingerprint=head.fingerprint,
                format="dcgm" if head.format else "unknown",
                anchor=self.reader.anchor_us,
            ),
            start=each.start,
            end=each.end,
            first_line=each.line,
            read_at_us=now_us,
            published_at_us=published_us,
            readings=each.readings,
        )

    def _save(self, acked: Iterable[str] = ()) -> None:
        self._checked(self.registry.save(self.claim, self._state(), acked))
        self._unsaved = False

    def _checked(self, saved: str) -> None:
        if saved == "taken":
            raise TakenError(self.source_id)
        if saved == "gone":
            # The broker lost its keys, we have not: go on from here rather than read everything again.
            claim = self.registry.claim(self.source_id, self._state())
            if claim is None:
                raise TakenError(self.source_id)
            self.claim = claim

    def _state(self) -> State:
        self._saved_size = self._size
        self._growth = self._growth.noted(self._size, self.window.committed, self._now_us)
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
            "anchor": self.reader.anchor_us,
            "pass_end": self.pass_end_us,
            "prefix": [self._prefix.start, self._prefix.end, self._prefix.digest],
            "first": self.reader.first_us,
            "how": self.reader.interpretation(),
            "window": self.window.to_json(),
            **self._kept,
        }


class ChangedError(Exception):
    """What was read of a file is no longer there, and nothing of it is in flight any more."""


class TakenError(Exception):
    """Another streamer has taken this source; what this one knows of it is no longer true."""
