"""What the broker knows: the queue, its memory, and for each source how far it is.

Ages are differences of the broker's own clock. At most MAX_EDGES edges are looked at, and MAX_SOURCES sources shown one by
one, those that lag most; what is shown of an edge counts all of its sources.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import redis
from prometheus_client.metrics_core import Metric

from telemetry import broker
from telemetry.exporter.families import gauge, single
from telemetry.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer.lost import lost_ranges
from telemetry.streamer.registry import State, edges
from telemetry.streamer.window import Window

MAX_SOURCES = 200
MAX_EDGES = 1000
SOURCE = ("source_cluster", "edge", "source", "path")
EDGE = ("source_cluster", "edge")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one source is. `silent_s` counts from the end of its streamer's lease, None if it was given up in order."""

    edge: str
    source_id: str
    path: str
    size_bytes: int
    committed_bytes: int
    in_flight_bytes: int
    lag_rows: float
    lag_s: float
    silent_s: float | None

    @property
    def lag_bytes(self) -> int:
        """Bytes of the file that are not known to be committed."""
        return max(0, self.size_bytes - self.committed_bytes)

    def labels(self) -> tuple[str, ...]:
        """By SOURCE."""
        return (*_edge(self.edge), self.source_id, self.path)


def look(client: redis.Redis, settings: Settings) -> Sequence[Metric]:
    """All metrics of the broker. Raises redis.RedisError."""
    return [*_queue(client, settings), *_memory(client), *_sources(list(progress(client, settings))), _lost(client, settings)]


def progress(client: redis.Redis, settings: Settings) -> Iterator[Progress]:
    """How far each source of each edge is."""
    keys = Keys(settings.key_prefix)
    now_us = broker.now_us(client)
    for edge in edges(client, keys)[:MAX_EDGES]:
        ids = sorted(each.decode() if isinstance(each, bytes) else each for each in client.smembers(keys.sources(edge)))
        with client.pipeline(transaction=False) as pipeline:
            for source_id in ids:
                pipeline.hmget(keys.source(edge, source_id), "state", "lease_until_ms")
            found = pipeline.execute()
        for source_id, (state, lease_until_ms) in zip(ids, found, strict=True):
            if state is not None:
                yield _progress(edge, source_id, json.loads(state), int(lease_until_ms or 0) * 1000, now_us)


def _progress(edge: str, source_id: str, state: State, lease_until_us: int, now_us: int) -> Progress:
    window, size = Window.from_json(state["window"]), state["size"]
    begin, line = state["begin"]
    oldest_us = min((flight.first_published_us for flight in window.flights if not flight.acked), default=now_us)
    read_bytes, read_lines = window.end - begin, window.end_line - line
    lag_bytes = max(0, size - window.committed)
    return Progress(
        edge=edge,
        source_id=source_id,
        path=state["path"],
        size_bytes=size,
        committed_bytes=window.committed,
        in_flight_bytes=window.span,
        # What is not read yet counts as the rows before it did.
        lag_rows=round(lag_bytes * read_lines / read_bytes) if read_bytes else 0,
        lag_s=max(0, now_us - oldest_us) / 1_000_000,
        silent_s=max(0, now_us - lease_until_us) / 1_000_000 if lease_until_us else None,
    )


def _queue(client: redis.Redis, settings: Settings) -> Iterator[Metric]:
    unacked = Keys(settings.key_prefix).unacked("central")["unacked_key"]
    with client.pipeline(transaction=False) as pipeline:
        pipeline.llen(settings.ingest_queue)
        pipeline.hlen(unacked)
        waiting, fetched = pipeline.execute()
    yield single("telemetry_queue_messages", "Messages on the ingest queue that no collector has fetched.", waiting)
    yield single("telemetry_queue_unacked_messages", "Messages that collectors fetched and have not acknowledged.", fetched)


def _memory(client: redis.Redis) -> Iterator[Metric]:
    try:
        told = client.info("memory")
    except redis.ResponseError:
        # Not every user of a broker may ask, and not every broker tells.
        return
    limit = int(told.get("maxmemory") or 0) or int(told.get("total_system_memory") or 0)
    yield single("telemetry_broker_memory_bytes", "Memory the broker uses.", told["used_memory"])
    yield single(
        "telemetry_broker_memory_limit_bytes", "Memory the broker may use: its maxmemory, else that of its machine.", limit
    )


def _sources(found: Sequence[Progress]) -> Iterator[Metric]:
    shown = sorted(found, key=lambda each: each.lag_bytes, reverse=True)[:MAX_SOURCES]

    def each(name: str, text: str, value: str) -> Metric:
        return gauge(name, text, SOURCE, ((one.labels(), getattr(one, value)) for one in shown))

    yield each("telemetry_source_size_bytes", "Size of the file when its streamer last saw it change.", "size_bytes")
    yield each("telemetry_source_committed_bytes", "Offset up to which a source is committed without a gap.", "committed_bytes")
    yield each("telemetry_source_lag_bytes", "Bytes of a source that are not committed.", "lag_bytes")
    yield each(
        "telemetry_source_lag_rows", "Rows of a source that are not committed, by the average size of those read.", "lag_rows"
    )
    yield each(
        "telemetry_source_lag_seconds", "Age of the oldest batch of a source that is published and not acknowledged.", "lag_s"
    )
    yield each(
        "telemetry_source_in_flight_bytes", "Span of a source's window: published and not acknowledged.", "in_flight_bytes"
    )
    yield from _edges(found)


def _lost(client: redis.Redis, settings: Settings) -> Metric:
    keys = Keys(settings.key_prefix)
    lost = {edge: lost_ranges(client, keys, edge) for edge in edges(client, keys)[:MAX_EDGES]}
    values = {edge: float(sum(each.end - each.start for each, _ in found)) for edge, found in lost.items()}
    text = "Bytes of an edge that were gone before they were committed, as far as its record goes back."
    return gauge("telemetry_edge_lost_bytes", text, EDGE, _of_edges(values))


def _edges(found: Iterable[Progress]) -> Iterator[Metric]:
    by_edge: dict[str, list[Progress]] = defaultdict(list)
    for one in found:
        by_edge[one.edge].append(one)
    sources = {edge: float(len(each)) for edge, each in by_edge.items()}
    lag = {edge: float(sum(one.lag_bytes for one in each)) for edge, each in by_edge.items()}
    silent = {
        edge: min(ages)
        for edge, each in by_edge.items()
        if (ages := [one.silent_s for one in each if one.silent_s is not None])
    }
    yield gauge("telemetry_edge_sources", "Sources of an edge that are remembered.", EDGE, _of_edges(sources))
    yield gauge("telemetry_edge_lag_bytes", "Bytes of all sources of an edge that are not committed.", EDGE, _of_edges(lag))
    yield gauge(
        "telemetry_edge_silent_seconds",
        "For how long no streamer of an edge has held a source; absent once all are given up in order.",
        EDGE,
        _of_edges(silent),
    )


def _of_edges(values: dict[str, float]) -> Iterator[tuple[tuple[str, ...], float]]:
    return ((_edge(edge), value) for edge, value in values.items())


def _edge(edge: str) -> tuple[str, str]:
    return edge.partition("/")[0], edge
