"""Paths that a streamer leaves alone for a while: others hold them or should take them, or they failed."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Deferred:
    """Until when each path is left alone, on the monotonic clock; an entry stays when its time is over."""

    _until_s: dict[str, float] = field(default_factory=dict)
    _failures: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, for_s: float) -> None:
        """Leave a path alone."""
        self._until_s[path] = time.monotonic() + for_s

    def fail(self, path: str, error: Exception, for_s: float) -> None:
        """Leave a path alone that failed, and log why, once for each error."""
        self.put(path, for_s)
        if self._failures.get(path) != repr(error):
            self._failures[path] = repr(error)
            log.error("cannot stream %s; it is tried again later", path, exc_info=error)

    def holds(self, path: str) -> bool:
        """Whether the path is left alone now."""
        return self._until_s.get(path, 0.0) > time.monotonic()

    def has_waited(self, path: str) -> bool:
        """Whether the path was left alone before."""
        return path in self._until_s and not self.holds(path)

    def drop(self, path: str) -> None:
        """Forget that the path waited: it is open now."""
        self._until_s.pop(path, None)

    def clear(self) -> None:
        """Leave nothing alone: who holds what is decided anew."""
        self._until_s.clear()
