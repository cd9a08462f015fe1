"""Whether the database still holds what a source has committed: which acknowledgements count, what is asked, what follows.

The rules are `telemetry.progress.history`'s. How a source is set back is `stream`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import NamedTuple

from telemetry.progress.acks import Held, statement
from telemetry.progress.history import QUESTION, Question, Spot, is_believed, judged
from telemetry.streamer import clock


class Forgotten(NamedTuple):
    """The database is in another generation, or has forgotten something: what the ledger holds of the source."""

    held: Held
    generation: str


@dataclass(slots=True)
class Proof:
    """The generation by whose acknowledgements a source has moved on, and the question that is out."""

    generation: str = ""
    # When something of the source was asked last, on the edge's clock.
    asked_s: float = -math.inf
    _question: Question | None = None
    _doubts: bool = False
    _looks: bool = False
    # Behind this place the next look may begin: all before it was held a while ago.
    _spot: Spot | None = None

    @property
    def awaits(self) -> bool:
        """Whether an answer may come."""
        return self._question is not None

    def doubt(self) -> None:
        """Ask for all of the source."""
        self._doubts, self._spot = True, None

    def look(self) -> None:
        """Ask once whether the ledger holds what was committed, as is done now and then."""
        self._looks = True

    def meet(self, generation: str) -> bool:
        """See which generation collectors tell of. Says if an answer must be waited for."""
        if generation and self.generation and generation != self.generation:
            self.doubt()
        return self._doubts and bool(generation)

    def settled(self, acked: Mapping[str, str]) -> dict[str, str]:
        """The batches that are settled in this generation, with their status. Others give rise to doubt."""
        batches = {}
        for batch_id, text in acked.items():
            said = statement(text)
            if said.status == "held":
                continue
            if is_believed(said, self.generation):
                batches[batch_id] = said.status
                self.generation = self.generation or said.generation
            else:
                self.doubt()
        return batches

    def answered(self, acked: Mapping[str, str]) -> Forgotten | None:
        """What an answer among acknowledgements tells of, if that is not what was hoped for."""
        question = self._question
        if question is None or question.batch_id not in acked:
            return None
        said = statement(acked[question.batch_id])
        if said.held is None:
            # A collector of before takes a question for a probe; another one may answer the next.
            return None
        self._question = None
        is_other = bool(self.generation) and said.generation != self.generation
        verdict = judged(question, said.held, is_other=is_other, is_whole=question.is_whole)
        if not verdict.is_final:
            self.doubt()
            return None
        self._doubts = False
        if is_other or not verdict.is_proven:
            self._spot = None
            return Forgotten(said.held, said.generation)
        self.generation = said.generation
        self._spot = Spot(said.held.start, said.held.line)
        return None

    def due(self, first: tuple[int, int], committed: int, after_s: float) -> Question | None:
        """The question that is to be sent now, if one is. `first`: byte and line where the source begins."""
        out, now_s = self._question, clock.now().seconds
        if out is not None:
            if not out.is_due_again(now_s, after_s):
                return None
            if not self._doubts:
                self._question = None
        if not (self._doubts or self._looks):
            return None
        spot = self._spot or Spot(*first)
        tries = out.tries + 1 if out else 1
        self._question = Question(QUESTION + token_hex(16), spot, spot == first, committed, now_s, tries)
        self._looks, self.asked_s = False, now_s
        return self._question
