"""Gathers what speaks for the loss of batches: the queue found empty, and what is acknowledged. `window` judges by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import redis

from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer import clock
from telemetry.streamer.stream import Stream
from telemetry.transport import WRITE_AFTER_S, WRITE_EVERY_S

# A collector notes what it has fetched only after this time; until then its messages stand nowhere.
EMPTY_S = 2 * (WRITE_AFTER_S + WRITE_EVERY_S)


@dataclass(slots=True)
class Witness:
    """Looks at the queue, but only while a batch is overdue; remembers since when it found it empty."""

    client: redis.Redis
    settings: Settings
    _empty_since_s: float | None = None

    def look(self, streams: Iterable[Stream]) -> tuple[float | None, float | None]:
        """Since when the queue is proven to be empty, and when the latest acknowledged batch was sent: what Evidence says."""
        now, after_s = clock.now(), self.settings.republish_after_s
        held = list(streams)
        acked_sent_s = max((s.acked_sent_s for s in held if s.acked_sent_s is not None), default=None)
        if not any(stream.window.overdue(now, after_s) for stream in held) or not self._is_empty():
            self._empty_since_s = None
        elif self._empty_since_s is None:
            self._empty_since_s = now.seconds
        since_s = self._empty_since_s
        proven = since_s is not None and now.seconds - since_s >= EMPTY_S
        return since_s if proven else None, acked_sent_s

    def _is_empty(self) -> bool:
        unacked = Keys(self.settings.key_prefix).unacked("central")["unacked_key"]
        return not (self.client.llen(self.settings.ingest_queue) or self.client.hlen(unacked))
