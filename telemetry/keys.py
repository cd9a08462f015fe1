"""Every Redis key this project uses, its type and its meaning. `{p}` is the key prefix, `{edge}` is `cluster/node`.

| key | type | meaning |
| --- | --- | --- |
| `{p}.ingest` | list | Celery queue: batches on their way to the collectors |
| `{p}.tick.{edge}` | list | Celery queue: ticks of one edge, three a streamer at most |
| `{p}.unacked.{owner}` | hash | Celery: messages fetched and not yet acknowledged; owner is `central` or `edge.{edge}` |
| `{p}.unacked_index.{owner}` | zset | Celery: when they were fetched |
| `{p}.unacked_mutex.{owner}` | string | Celery: who looks for those fetched too long ago |
| `{p}:edges` | set | names of the edges that have streamed |
| `{p}:sources:{edge}` | set | ids of the sources of an edge |
| `{p}:source:{edge}:{id}` | hash | one source: `token` (fencing), `owner`, `lease_until_ms`, `state` (JSON: file, window) |
| `{p}:acks:{edge}:{id}` | hash | batch id → `stored` or `dead`; written after the commit, removed by the streamer, expires |
| `{p}:streamers:{edge}` | zset | live streamers of an edge → when each counts as dead, in ms; expires |
| `{p}:lost:{edge}` | zset | lost ranges of an edge (JSON) → when they were found lost, in s; the latest 1,000, expires |
| `{p}:epoch` | string | random mark of this key space; another value says that the broker was replaced |
| `{p}:rates` | strings | requests to the API per key or address in the present window, in keys below this one; expire |

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

    def sources(self, edge: str) -> str:
        """Set of an edge's source ids."""
        return f"{self.prefix}:sources:{edge}"

    def source(self, edge: str, source_id: str) -> str:
        """Hash of one source."""
        return f"{self.prefix}:source:{edge}:{source_id}"

    def acks(self, edge: str, source_id: str) -> str:
        """Hash of a source's acknowledgements."""
        return f"{self.prefix}:acks:{edge}:{source_id}"

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
