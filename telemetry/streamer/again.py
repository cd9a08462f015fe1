"""Cuts again the batches that must be published again, and tells which of them no longer can be.

Which are suspected to be lost is `telemetry.progress.window`'s, what becomes of those that are is `stream`'s. A batch that
the broker may still hold is a copy, and copies are few in a tick. What another broker swallowed is none: of those each step
publishes as many as let other sources and the leases have their turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from telemetry.progress.flight import Clock, Flight
from telemetry.progress.losses import merged
from telemetry.progress.window import Window
from telemetry.streamer.batching import CutBatch, Cutter
from telemetry.streamer.holes import is_disputed
from telemetry.streamer.step import Moment

MAX_IN_A_STEP = 16


class Again(NamedTuple):
    """The batches to publish again, how many are copies, the stretches whose bytes are gone, the window without those."""

    batches: list[CutBatch]
    copies: int
    lost: list[tuple[int, int]]
    window: Window


def cut_again(cutter: Cutter, window: Window, suspects: Iterable[Flight], moment: Moment, now: Clock) -> Again:
    """Cut suspects again, as many as may be published."""
    batches, copies, lost = list[CutBatch](), 0, list[Flight]()
    for flight in suspects:
        is_copy = flight.epoch == moment.evidence.epoch
        if len(batches) >= MAX_IN_A_STEP or (is_copy and copies >= moment.copies):
            break
        batch = cutter.again(flight.extent, now_us=moment.now_us)
        if batch and is_disputed(batch, moment.ahead_us):
            continue
        if batch and batch.batch_id == flight.batch_id:
            window = window.sent_again(flight.batch_id, now, moment.evidence.epoch)
            batches.append(batch)
            copies += is_copy
        else:
            lost.append(flight)
    window = window.acknowledge(frozenset(flight.batch_id for flight in lost))
    return Again(batches, copies, list(merged((flight.start, flight.end) for flight in lost)), window)
