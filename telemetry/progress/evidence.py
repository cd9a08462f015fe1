"""What proves that a published batch was lost, and when there is reason to ask for a proof. Pure.

Nothing counts as lost for its age alone: a slow centre must not cause copies. The facts are gathered by
`telemetry.streamer.queue_watch`; which flights of a source are lost by them is `window`'s to list.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from zlib import crc32

from telemetry.progress.flight import Clock, Flight

MAX_BACK_OFF_DOUBLINGS = 5
PROBE = "probe-"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts that prove a loss. Instants are on the monotonic clock of this boot.

    `epoch` is the broker's mark now. `empty_since_s`: the queue and its unacknowledged set were empty then and have stayed
    empty for so long that a collector which had fetched a message before would have noted it. `acked_sent_s`: when the
    latest acknowledged batch of this edge was published. `taken_s`: when the source was taken; a stamp without an age is from
    before it.
    """

    epoch: str
    empty_since_s: float | None = None
    acked_sent_s: float | None = None
    taken_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Probe:
    """A message without rows, sent when batches are overdue and nothing proves their loss yet.

    The queue is first in, first out: when the probe is acknowledged, batches published clearly before it are lost.
    """

    batch_id: str
    sent_s: float
    tries: int

    def is_due_again(self, now: Clock, after_s: float) -> bool:
        """Whether the probe may be lost too. Each wait is longer: with the centre dead, probes must not fill the broker."""
        return now.seconds - self.sent_s >= after_s * (1 << min(self.tries, MAX_BACK_OFF_DOUBLINGS))


def is_lost(flight: Flight, evidence: Evidence, now: Clock, after_s: float) -> bool:
    """Whether a flight is lost: another broker swallowed it, or it is old enough and the evidence proves its loss."""
    if flight.acked:
        return False
    return flight.epoch != evidence.epoch or (is_old(flight, now, after_s) and _is_proven_lost(flight, evidence, now, after_s))


def is_old(flight: Flight, now: Clock, after_s: float) -> bool:
    """Whether a flight is old enough to be asked for, with back-off and jitter."""
    age_s = flight.age_s(now)
    if age_s < after_s:
        return False
    doublings = min(flight.tries - 1, MAX_BACK_OFF_DOUBLINGS)
    # The batch id gives the jitter, so that the decision is a function of its inputs and batches still spread out.
    jitter = 1 + crc32(flight.batch_id.encode()) / (1 << 34)
    return age_s >= after_s * (1 << doublings) * jitter


def _is_proven_lost(flight: Flight, evidence: Evidence, now: Clock, after_s: float) -> bool:
    sent_s = flight.sent_s if flight.has_age(now) else evidence.taken_s
    was_in_no_queue = evidence.empty_since_s is not None and sent_s <= evidence.empty_since_s
    was_overtaken = evidence.acked_sent_s is not None and evidence.acked_sent_s - sent_s >= after_s
    return was_in_no_queue or was_overtaken
