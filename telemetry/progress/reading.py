"""What anyone may read of the edges' progress: which edges there are, their sources, their acknowledgements.

Nothing here changes a source: that takes a claim (`claims`). One source whose state cannot be read hides no other: it is
left out, and the log says so.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import redis

from telemetry import broker
from telemetry.progress.keys import Keys
from telemetry.progress.state import SourceState, StateError, decode
from telemetry.readings.reported import Committed

log = logging.getLogger(__name__)


class Signals(NamedTuple):
    """What the broker said at one moment: its mark, its clock, and by source its acknowledgements (batch id → text).

    `generation` is that of the database; empty while no collector has told it. `database_ahead_us`: how far the database's
    clock is ahead of the broker's, as far as somebody has told it.
    """

    epoch: str
    now_us: int
    acks: dict[str, dict[str, str]]
    generation: str = ""
    database_ahead_us: int = 0


def edges(client: redis.Redis, keys: Keys) -> list[str]:
    """The names of all edges that have streamed."""
    return sorted(_plain(name) for name in client.smembers(keys.edges()))


def streamers(client: redis.Redis, keys: Keys, edges: Sequence[str]) -> dict[str, list[str]]:
    """The live streamers of some edges, each as host and process."""
    now_ms = broker.now_us(client) // 1000
    with client.pipeline(transaction=False) as pipeline:
        for edge in edges:
            pipeline.zrangebyscore(keys.streamers(edge), now_ms, "+inf")
        members = pipeline.execute()
    return {edge: [_plain(owner).rpartition(":")[0] for owner in owners] for edge, owners in zip(edges, members, strict=True)}


def sources(client: redis.Redis, keys: Keys, edge: str) -> dict[str, SourceState]:
    """The states of all sources of an edge, by source id."""
    return decoded(documents(client, keys, edge))


def source(client: redis.Redis, keys: Keys, edge: str, source_id: str) -> SourceState | None:
    """The state of one source; None if there is none. Raises StateError."""
    document = client.hget(keys.source(edge, source_id), "state")
    return decode(document) if document else None


def documents(client: redis.Redis, keys: Keys, edge: str) -> dict[str, bytes | None]:
    """The states of an edge's sources as they stand in Redis, by source id; None where the hash has expired."""
    ids = sorted(_plain(source_id) for source_id in client.smembers(keys.sources(edge)))
    with client.pipeline(transaction=False) as pipeline:
        for source_id in ids:
            pipeline.hget(keys.source(edge, source_id), "state")
        return dict(zip(ids, pipeline.execute(), strict=True))


def decoded(raw: Mapping[str, bytes | None]) -> dict[str, SourceState]:
    """The states that can be read."""
    states = {}
    for source_id, document in raw.items():
        if document:
            try:
                states[source_id] = decode(document)
            except StateError as error:
                log.warning("source %s is left out: %s", source_id, error)
    return states


def signals(client: redis.Redis, keys: Keys, edge: str, source_ids: Sequence[str]) -> Signals:
    """The broker's mark and clock, and the acknowledgements of some sources, in one round trip."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.get(keys.epoch())
        pipeline.get(keys.generation())
        pipeline.get(keys.database_clock())
        pipeline.time()
        for source_id in source_ids:
            pipeline.hgetall(keys.acks(edge, source_id))
        known, generation, ahead_us, time, *hashes = pipeline.execute()
    acks = {
        source_id: {_plain(batch_id): _plain(status) for batch_id, status in statuses.items()}
        for source_id, statuses in zip(source_ids, hashes, strict=True)
    }
    now_epoch = _plain(known) if known else epoch(client, keys)
    return Signals(now_epoch, broker.microseconds(*time), acks, _plain(generation or ""), int(ahead_us or 0))


def epoch(client: redis.Redis, keys: Keys) -> str:
    """The mark of this key space, made if there is none: when it changes, the broker has lost its keys."""
    if not mark(client, keys):
        client.setnx(keys.epoch(), secrets.token_hex(8))
    return mark(client, keys)


def mark(client: redis.Redis, keys: Keys) -> str:
    """The same as it is there; empty where no edge has streamed. Brokers with one mark are one server."""
    return _plain(client.get(keys.epoch()) or "")


def sources_by_edge(client: redis.Redis, keys: Keys, max_edges: int | None = None) -> dict[str, dict[str, SourceState]]:
    """The states of the sources of each edge, by edge and source id; of so many edges at most."""
    return {edge: sources(client, keys, edge) for edge in edges(client, keys)[:max_edges]}


def committed(states: Mapping[str, Mapping[str, SourceState]]) -> list[Committed]:
    """What each edge holds for committed, for the audit of gaps."""
    return [
        Committed(edge, state.fingerprint, state.shown_path, state.anchor_us, state.first_record.offset, state.window.committed)
        for edge, of_edge in states.items()
        for state in of_edge.values()
    ]


def _plain(reply: bytes | str) -> str:
    return reply.decode() if isinstance(reply, bytes) else reply
