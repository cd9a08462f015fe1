"""Finds what is left of sources whose file is gone before all of it was committed: their entries in the registry.

A streamer that holds a file open reads it on, whatever became of its name; so this is about files that nobody holds.
What becomes of such an entry is `stream`'s business: it is taken as a source that has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from telemetry.progress.registry import State, all_committed
from telemetry.streamer.source import SourceFile


@dataclass(slots=True)
class Remains:
    """Entries whose file was missed, and since when. `grace_s`: a volume that is away for a moment is no loss."""

    grace_s: float
    max_record: int
    _missed_s: dict[str, float] = field(default_factory=dict)

    def due(self, known: Mapping[str, State], held: Collection[str], now_s: float) -> dict[str, State]:
        """The entries to take, by source id: unfinished, with nobody here, and without their file for long enough."""
        missing = {
            source_id: state
            for source_id, state in known.items()
            if source_id not in held and not state["foreign"] and not all_committed(state) and not self._is_there(state)
        }
        self._missed_s = {source_id: self._missed_s.get(source_id, now_s) for source_id in missing}
        return {each: state for each, state in missing.items() if now_s - self._missed_s[each] >= self.grace_s}

    def spare(self, source_id: str) -> None:
        """Let an entry have its grace anew: another streamer holds it, which may see files that this one does not."""
        self._missed_s.pop(source_id, None)

    def _is_there(self, state: State) -> bool:
        """Whether the path leads to a file that begins as the source did. One that cannot be read may be it."""
        try:
            source = SourceFile.open(Path(state["path"]), max_record=self.max_record, final=True)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        if source is None:
            return False
        with source:
            return bool(source.head.fingerprint == state["fingerprint"])
