"""Cuts again the batches that must be published again, and tells which of them no longer can be.

Which are suspected to be lost is `telemetry.progress.window`'s, what becomes of those that are is `stream`'s.
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


class Again(NamedTuple):
    """The batches to publish again, the stretches whose bytes are no longer there, and the window without those."""

    batches: list[CutBatch]
    lost: list[tuple[int, int]]
    window: Window


def cut_again(cutter: Cutter, window: Window, suspects: Iterable[Flight], moment: Moment, now: Clock) -> Again:
    """Cut suspects again, as many as may be published."""
    batches, lost = list[CutBatch](), list[Flight]()
    for flight in suspects:
        if len(batches) >= moment.copies:
            break
        batch = cutter.again(flight.extent, now_us=moment.now_us)
        if batch and is_disputed(batch, moment.now_us):
            continue
        if batch and batch.batch_id == flight.batch_id:
            window = window.sent_again(flight.batch_id, now, moment.evidence.epoch)
            batches.append(batch)
        else:
            lost.append(flight)
    window = window.acknowledge(frozenset(flight.batch_id for flight in lost))
    return Again(batches, list(merged((flight.start, flight.end) for flight in lost)), window)
