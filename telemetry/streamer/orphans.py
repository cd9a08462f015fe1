"""Finds orphans: sources whose file is gone before all of it was committed, and which no streamer holds.

A streamer that holds a file open reads it on, whatever became of its name. What becomes of an orphan is decided in `stream`:
it is taken as a source whose bytes are gone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from telemetry.progress.state import SourceState
from telemetry.settings import Settings
from telemetry.streamer.whereabouts import being_packed, has_its_file


@dataclass(slots=True)
class Orphans:
    """Sources whose file was missed, and since when. `grace_s`: a volume that is away for a moment is no loss."""

    grace_s: float
    settings: Settings
    _missed_s: dict[str, float] = field(default_factory=dict)

    def due(
        self, known: Mapping[str, SourceState], held: Collection[str], paths: Collection[str], now_s: float
    ) -> dict[str, SourceState]:
        """The sources to take, by id: not all committed, not in `held`, and without their file for long enough.

        `paths` are those of all files there are. Where one was packed a moment ago, a source beside it may be in that.
        """
        missing = {
            source_id: state
            for source_id, state in known.items()
            if source_id not in held
            and not state.foreign
            and not state.all_committed
            and not has_its_file(state, self.settings)
        }
        if missing:
            packed = being_packed(paths, 2 * self.grace_s)
            missing = {source_id: state for source_id, state in missing.items() if str(Path(state.path).parent) not in packed}
        self._missed_s = {source_id: self._missed_s.get(source_id, now_s) for source_id in missing}
        return {source_id: state for source_id, state in missing.items() if now_s - self._missed_s[source_id] >= self.grace_s}

    def spare(self, source_id: str) -> None:
        """Give a source its grace anew: another streamer holds it, and may see files that this one does not."""
        self._missed_s.pop(source_id, None)
