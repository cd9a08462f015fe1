"""What the broker keeps of one source for its streamer: the claim on it, and the state as it was saved last.

What a state says is put together in `stream`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from telemetry.progress.claims import Claim, Claims, Saved
from telemetry.progress.growth import Note, noted
from telemetry.progress.state import SourceState
from telemetry.progress.window import Window
from telemetry.streamer import clock
from telemetry.streamer.source import SourceFile
from telemetry.streamer.step import TakenError

log = logging.getLogger(__name__)


class Memory(NamedTuple):
    """What a save has shown: whether the broker had lost the source, or from when until when it has forgotten what it got.

    The instants are on the monotonic clock.
    """

    was_lost: bool
    forgotten: tuple[float, float] | None = None


@dataclass(slots=True)
class Kept:
    """A source at the broker, to be taken first. `growth`: since when its file has been how large.

    Each save leaves a mark, the instant at which its step began: what was published before then reached the broker before the
    save did. A replica that is promoted while it lags has an earlier mark, and has nothing of what was published since.
    """

    claims: Claims
    source_id: str
    saved: SourceState | None = None
    growth: tuple[Note, ...] = ()
    _claim: Claim = field(init=False)
    _taken_s: float = 0.0
    _begun_s: float = 0.0
    _mark_s: float | None = None

    def take(self) -> Claim | None:
        """Claim the source; None if another streamer holds it."""
        claim = self.claims.claim(self.source_id)
        if claim is not None:
            self._claim, self._mark_s = claim, None
            self._taken_s = self._begun_s = clock.now().seconds
        return claim

    def begin(self) -> None:
        """Begin a step: what its batches are stamped with is not before now."""
        self._begun_s = clock.now().seconds

    def resume(self, state: SourceState) -> None:
        """Go on from a state that the broker has."""
        self.saved, self.growth = state, state.growth

    def forget(self) -> None:
        """What was saved is no longer what the source is."""
        self.saved, self.growth = None, ()

    def save(self, state: SourceState, acked: Iterable[str] = ()) -> Memory:
        """Save a state. Raises TakenError if another streamer has the source."""
        memory = self._memory(self.claims.save(self._claim, state, acked, repr(self._begun_s)), state)
        if state.series_column and not (self.saved and self.saved.series_column):
            log.warning("%s: the column %s makes a new series of nearly each record", state.path, state.series_column)
        self.saved = state
        return memory

    def renew(self, state: SourceState) -> Memory:
        """Keep the lease; as `save`."""
        if state != self.saved:
            # The whole state, as what a restart or a new mount changes of it (an inode, a setting) must be saved too.
            return self.save(state)
        return self._memory(self.claims.save(self._claim, mark=repr(self._begun_s)), state)

    def release(self) -> None:
        """Give the source up."""
        self.claims.release(self._claim)

    def end(self) -> None:
        """Remove the source."""
        self.claims.end(self._claim)

    def remember_header(self, source: SourceFile, in_force: int) -> None:
        """Keep the header in force for a file that follows this one at its path without a header."""
        header = source.header_for_next(in_force)
        if header is not None and source.is_at_its_path():
            self.claims.remember_header(str(source.path), header)

    def grown(self, base: SourceState, source: SourceFile, size_bytes: int, window: Window, now_us: int) -> SourceState:
        """Note how large the file is, and say so in a state."""
        self.growth = noted(self.growth, size_bytes, window.committed, now_us)
        changed_us = self._changed_us(source, size_bytes, now_us)
        return replace(base, size_bytes=size_bytes, growth=self.growth, changed_us=changed_us, window=window)

    def _changed_us(self, source: SourceFile, size_bytes: int, now_us: int) -> int:
        """When the file's size changed last: now, unless it is the one that was saved before."""
        if self.saved is None:
            return now_us - source.unchanged_us()
        return self.saved.changed_us if self.saved.size_bytes == size_bytes else now_us

    def _memory(self, answer: Saved, state: SourceState) -> Memory:
        if answer.word == "gone":
            # The broker lost its keys, we have not: go on from here rather than read everything again.
            claim = self.claims.claim(self.source_id, state)
            if claim is None:
                raise TakenError("another process streams it")
            self._claim, self._mark_s = claim, None
            return Memory(was_lost=True)
        if answer.word == "taken":
            raise TakenError("another process streams it")
        before_s, self._mark_s = self._mark_s, self._begun_s
        # Without a mark it has the claim alone. A later mark than ours is of a save whose answer was lost.
        mark_s = float(answer.mark or self._taken_s)
        if before_s is None or (answer.mark and mark_s >= before_s):
            return Memory(was_lost=False)
        log.warning("%s: the broker has forgotten the latest that it got: a server that lagged became the primary", state.path)
        return Memory(was_lost=False, forgotten=(mark_s, self._begun_s))
