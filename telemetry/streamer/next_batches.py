"""Cuts the batches that come next in a source, as many as there is room for, and makes flights of them.

In which sizes they come is `modes`' to say, and which of them wait is `holes`'. What becomes of them is `stream`'s.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from telemetry.progress.flight import Flight
from telemetry.progress.window import MAX_FLIGHTS, Window
from telemetry.streamer import clock
from telemetry.streamer.batching import MAX_BLOCK_BYTES, CutBatch
from telemetry.streamer.holes import Holes
from telemetry.streamer.modes import Replay, Tail
from telemetry.streamer.step import Moment
from telemetry.streamer.verified import Verified


class NextBatches(NamedTuple):
    """The batches to publish. `is_all`: no complete row is left behind them, as far as is known."""

    batches: list[CutBatch]
    is_all: bool


def cut_next(
    mode: Tail | Replay, window: Window, verified: Verified, holes: Holes, moment: Moment, window_bytes: int
) -> NextBatches | None:
    """Cut the batches behind a window, which may become `window_bytes` long.

    None if the file changed while it was read: there is no telling what was read.
    """
    # A block a step, however wide the window: the centre is to have something to do while the next one is read.
    room_bytes = min(window_bytes - window.span, moment.room_bytes, MAX_BLOCK_BYTES)
    flights = MAX_FLIGHTS - len(window.flights)
    unread_bytes = verified.size_bytes - window.end
    if not unread_bytes or room_bytes <= 0 or flights <= 0:
        return NextBatches([], is_all=False)
    batches = list(islice(mode.coming(window, unread_bytes, room_bytes, moment.now_us), flights))
    if not verified.is_intact():
        return None
    batches = holes.before(batches, clock.now().seconds, moment.ahead_us, final=verified.source.final)
    left_bytes = room_bytes - sum(batch.extent.size_bytes for batch in batches)
    return NextBatches(batches, is_all=left_bytes > 0 and len(batches) < flights and not mode.holds_back)


def flight_of(batch: CutBatch, moment: Moment) -> Flight:
    """A batch that is published for the first time now."""
    return Flight.first(batch.batch_id, batch.extent, clock.now(), moment.evidence.epoch, moment.now_us)
