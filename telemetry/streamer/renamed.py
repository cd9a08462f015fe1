"""The files that were begun before this process and renamed to where no pattern leads: they are looked for, and read on.

What was begun is noted in `begun`, which also finds a file again. When one that was found is closed is decided in `held`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from telemetry.progress.claims import Claims
from telemetry.progress.losses import LostRange
from telemetry.settings import Settings
from telemetry.streamer.begun import Entry, path_of

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Renamed:
    """`paths` are the files that were found, `missed` those not looked for or not found yet.

    `grace_s`: how long after the start a file that is nowhere may yet come back. Then it is lost.
    """

    settings: Settings
    claims: Claims
    grace_s: float
    lose: Callable[[LostRange], None]
    missed: list[Entry]
    paths: set[str] = field(default_factory=set)
    _made_s: float = field(default_factory=time.monotonic)

    def beside(self, names: Collection[str]) -> list[str]:
        """The files that were found and are not among these names."""
        if self.missed:
            known = {state.fingerprint for state in self.claims.sources().values()}
            self.missed = [entry for entry in self.missed if not self._is_settled(entry, names, known)]
        return sorted(self.paths)

    def _is_settled(self, entry: Entry, names: Collection[str], known: Collection[str]) -> bool:
        """Whether it is known what became of a file that was begun. What the broker still knows of is left to `orphans`."""
        path = path_of(entry, self.settings)
        if path is None:
            waits = time.monotonic() - self._made_s < self.grace_s or not Path(entry.path).parent.is_dir()
            if waits and entry.fingerprint not in known:
                return False
            if entry.fingerprint not in known:
                self.lose(entry.lost)
        elif path not in names:
            log.info("%s was begun as %s, and is read on", path, entry.path)
            self.paths.add(path)
        return True
