"""A source whose file is gone, where there are several brokers: the ledger is asked before anything of it counts as lost.

A streamer that was moved knows the state in which its source left the former broker. Batches that were in flight may wait
there, and collectors store them; or the edge has been elsewhere meanwhile and has read further than this state says. Nobody
acknowledges that here, and the bytes cannot be read again. So the ledger has the word: what it holds is not lost, and what it
lacks is waited for as long as a queue that was left behind may take.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from secrets import token_hex

from telemetry.progress.acks import statement
from telemetry.progress.history import QUESTION, Question, Spot
from telemetry.streamer import clock
from telemetry.streamer.phase import Draining
from telemetry.streamer.step import Done, Moment
from telemetry.streamer.stream import Stream

PATIENCE_S = 600.0


class Orphan(Stream):
    """A stream in the phase `GONE`. `patience_s`: how long what the ledger lacks is waited for."""

    patience_s = PATIENCE_S
    # The ledger holds all up to this byte, as far as it has answered.
    _held_end = -1
    _begun_s = math.inf
    _asked: Question | None = None
    _is_heard = False

    def awaits(self) -> bool:
        """Whether acknowledgements may come."""
        return self._asked is not None or super().awaits()

    def step(self, moment: Moment) -> Done:
        """Ask the ledger, and once it has answered, drain as any stream does whose file is gone."""
        if self._is_heard:
            return super().step(moment)
        self._kept.begin()
        self._collect(self.proof.settled(moment.acked))
        self._hear(moment.acked)
        if self._is_over():
            self._is_heard = True
            held = (flight.batch_id for flight in self.window.flights if flight.end <= self._held_end)
            self.window = self.window.acknowledge(frozenset(held))
        if moment.acked:
            self._save(moment.now_us, moment.acked)
        if not self._is_heard and (question := self._due()):
            self.outbox.put(question, self.mode.reader.anchor_us, moment.now_us)
        return Done(bool(moment.acked) or self._is_heard, 0)

    def _hear(self, acked: dict[str, str]) -> None:
        if self._asked and self._asked.batch_id in acked:
            held = statement(acked[self._asked.batch_id]).held
            self._held_end = max(self._held_end, held.end if held else -1)
            self._asked = None

    def _is_over(self) -> bool:
        """Whether the ledger holds all that was seen of the file, or has been waited for long enough and has answered."""
        self._begun_s = min(self._begun_s, clock.now().seconds)
        if self._held_end >= max(self.window.end, self.seen_bytes):
            return True
        return self._held_end >= 0 and clock.now().seconds - self._begun_s >= self.patience_s

    def _due(self) -> Question | None:
        """The question to send now, if one is due: again and again, as the answer changes while batches arrive."""
        now_s, out = clock.now().seconds, self._asked
        if not (out.is_due_again(now_s, self.after_s) if out else now_s - self.proof.asked_s >= self.after_s):
            return None
        tries = out.tries + 1 if out else 1
        self._asked = Question(QUESTION + token_hex(16), Spot(*self._base.first_record), True, 0, now_s, tries)
        self.proof.asked_s = now_s
        return self._asked

    def _lose(self, stretches: Iterable[tuple[int, int]], how: Draining) -> None:
        super()._lose(((max(start, self._held_end), end) for start, end in stretches), how)
