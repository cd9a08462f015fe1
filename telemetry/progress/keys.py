"""The names of the Redis keys. What each holds stands in the wire dictionary, the docstring of `telemetry.celery`.

This module names keys only; `broker` connects, `streamer.registry` and `collector.acks` read and write.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of the keys under one prefix."""

    prefix: str

    def edges(self) -> str:
        """Set of edge names."""
        return f"{self.prefix}:edges"

    def expected(self) -> str:
        """Sorted set of the edges that stream for good."""
        return f"{self.prefix}:expected"

    def sources(self, edge: str) -> str:
        """Set of an edge's source ids."""
        return f"{self.prefix}:sources:{edge}"

    def source(self, edge: str, source_id: str) -> str:
        """Hash of one source."""
        return f"{self.prefix}:source:{edge}:{source_id}"

    def acks(self, edge: str, source_id: str) -> str:
        """Hash of a source's acknowledgements."""
        return f"{self.prefix}:acks:{edge}:{source_id}"

    def attempts(self, message_id: str) -> str:
        """String that counts the attempts at a message."""
        return f"{self.prefix}:attempts:{message_id}"

    def streamers(self, edge: str) -> str:
        """Sorted set of an edge's live streamers."""
        return f"{self.prefix}:streamers:{edge}"

    def lost(self, edge: str) -> str:
        """Sorted set of an edge's lost ranges."""
        return f"{self.prefix}:lost:{edge}"

    def epoch(self) -> str:
        """String that marks the key space."""
        return f"{self.prefix}:epoch"

    def rates(self) -> str:
        """Prefix of the strings that count requests to the API."""
        return f"{self.prefix}:rates"

    def unacked(self, owner: str) -> dict[str, str]:
        """Celery's transport options that name the unacknowledged set of one owner."""
        return {
            "unacked_key": f"{self.prefix}.unacked.{owner}",
            "unacked_index_key": f"{self.prefix}.unacked_index.{owner}",
            "unacked_mutex_key": f"{self.prefix}.unacked_mutex.{owner}",
        }
