"""Gathers the facts that prove a loss of batches: since when the queue is empty, and what was acknowledged last.

`telemetry.progress.evidence` judges by them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import redis

from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer import clock
from telemetry.streamer.stream import Stream
from telemetry.transport import WRITE_EVERY_S
from telemetry.unacked import WRITE_AFTER_S

# A collector notes what it has fetched only after this time; until then its messages stand nowhere.
EMPTY_S = 2 * (WRITE_AFTER_S + WRITE_EVERY_S)


class Sighting(NamedTuple):
    """Since when the queue is proven to be empty, and when the latest acknowledged batch was sent: see `Evidence`."""

    empty_since_s: float | None
    acked_sent_s: float | None


@dataclass(slots=True)
class QueueWatch:
    """Looks at the queue, but only while a batch is overdue; remembers since when it has been empty."""

    client: redis.Redis
    settings: Settings
    _empty_since_s: float | None = None

    def look(self, streams: Iterable[Stream]) -> Sighting:
        """What can be seen now. Acknowledgements must be asked for after it: they tell what became of what left the queue."""
        now, after_s = clock.now(), self.settings.republish_after_s
        held = list(streams)
        acked_sent_s = max((s.acked_sent_s for s in held if s.acked_sent_s is not None), default=None)
        if not any(stream.window.overdue(now, after_s) for stream in held) or not self._is_empty():
            self._empty_since_s = None
        elif self._empty_since_s is None:
            self._empty_since_s = now.seconds
        since_s = self._empty_since_s
        is_proven = since_s is not None and now.seconds - since_s >= EMPTY_S
        return Sighting(since_s if is_proven else None, acked_sent_s)

    def _is_empty(self) -> bool:
        unacked = Keys(self.settings.key_prefix).unacked("central")
        return not (self.client.llen(self.settings.ingest_queue) or self.client.hlen(unacked))
