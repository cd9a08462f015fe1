"""Sets sources back to what the ledger holds of them, so that their edge reads again what is missing there.

This is what `telemetry rewind` does to all sources. A source that its edge does not remember is nobody's to read again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

import redis
from sqlalchemy import Connection

from telemetry.progress import reading
from telemetry.progress.keys import Keys
from telemetry.progress.rewind import overwrite, rewound
from telemetry.progress.state import SourceState
from telemetry.store.read.gaps import Gap, ledger_ranges

log = logging.getLogger(__name__)

# By edge and source id.
States = dict[str, dict[str, SourceState]]
# What a gap is known by: edge, fingerprint, replay pass, first byte.
Name = tuple[str, str, int | None, int]
# A gap that is there again is left for so long, and for twice as long each time.
PAUSE_S = 300.0


def of_files(states: States, edge: str, fingerprint: str, anchor: int | None = None) -> Iterator[tuple[str, SourceState]]:
    """The sources of an edge that are files of one fingerprint, in one pass if they are replayed, by id."""
    for source_id, state in states.get(edge, {}).items():
        if (state.fingerprint, state.anchor_us) == (fingerprint, anchor):
            yield source_id, state


@dataclass(slots=True)
class Rereading:
    """Sets back sources of edges at their brokers. `number` is how many were set back."""

    client_of: Callable[[str], redis.Redis]
    keys: Keys
    number: int = 0
    # How often each gap was healed, and when last (monotonic).
    _healed: dict[Name, tuple[int, float]] = field(default_factory=dict)

    def set_back(self, connection: Connection, edge: str, fingerprint: str, past: int, anchor: int | None = None) -> None:
        """Set back the sources of some files that hold bytes past an offset for committed."""
        client = self.client_of(edge)
        states = {edge: reading.sources(client, self.keys, edge)}
        for source_id, state in of_files(states, edge, fingerprint, anchor):
            held = ledger_ranges(connection, edge, fingerprint, state.shown_path, anchor)
            new = rewound(state, held)
            if new.window.committed < state.window.committed > past:
                overwrite(client, self.keys, edge, source_id, new)
                log.warning("%s of %s is read again from byte %d", state.shown_path, edge, new.window.committed)
                self.number += 1

    def heal(self, connection: Connection, open_gaps: Sequence[Gap], states: States) -> None:
        """Have gaps read again that an edge holds for committed. One that is being read is left alone."""
        self._healed = {name: self._healed[name] for name in map(_name, open_gaps) if name in self._healed}
        for gap in open_gaps:
            number, at_s = self._healed.get(_name(gap), (0, 0.0))
            files = of_files(states, gap.edge, gap.fingerprint, gap.anchor)
            is_held = any(state.window.committed > gap.start for _, state in files)
            if is_held and (not number or monotonic() - at_s > PAUSE_S * 2**number):
                # A broker that is away keeps no edge of another one from being healed.
                with suppress(redis.RedisError):
                    self.set_back(connection, gap.edge, gap.fingerprint, gap.start, gap.anchor)
                    self._healed[_name(gap)] = (number + 1, monotonic())


def _name(gap: Gap) -> Name:
    return gap.edge, gap.fingerprint, gap.anchor, gap.start
