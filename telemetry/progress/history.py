"""What a streamer asks the centre when the database may have forgotten commits, and what it makes of the answer. Pure.

An acknowledgement is true of one generation of the database. A source remembers the generation by whose acknowledgements it has
moved on. When it meets another one, when the broker has lost its keys, and now and then in any case, it asks what the ledger
holds. What the ledger lacks is published again from the file: the ledger makes repetition harmless. The question is a batch of
no bytes, as a probe is; the place where it stands is where the answer is to begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from telemetry.progress.acks import Held, Statement
from telemetry.progress.evidence import MAX_BACK_OFF_DOUBLINGS

QUESTION = "question-"


class Spot(NamedTuple):
    """A byte where a batch begins, and its line."""

    offset: int
    line: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is out: where it begins, what was committed when it was asked, and when that was (edge's clock).

    `is_whole`: it begins where the source does.
    """

    batch_id: str
    spot: Spot
    is_whole: bool
    committed: int
    sent_s: float
    tries: int = 1

    def is_due_again(self, now_s: float, after_s: float) -> bool:
        """Whether it may be lost. Each wait is longer: a centre of before never answers."""
        return now_s - self.sent_s >= after_s * (1 << min(self.tries, MAX_BACK_OFF_DOUBLINGS))


class Verdict(NamedTuple):
    """What an answer comes to: whether the ledger holds all that was committed, and whether no other question is needed."""

    is_proven: bool
    is_final: bool


def is_believed(statement: Statement, generation: str) -> bool:
    """Whether an acknowledgement is true of the generation that a source is in; none of either is believed."""
    return not statement.generation or not generation or statement.generation == generation


def judged(question: Question, held: Held, *, is_other: bool, is_whole: bool) -> Verdict:
    """What the answer to a question says. `is_other`: it is of another generation. `is_whole`: it is of the whole source.

    In the same generation what other files that begin alike have counts too: a renamed file is in the ledger under both names,
    and would be read again each time. In another one each file stands for itself: in doubt it is read again.
    """
    end = held.end if is_other else max(held.end, held.whole_end)
    is_proven = end >= question.committed and (is_whole or not is_other)
    return Verdict(is_proven, is_proven or is_whole)
