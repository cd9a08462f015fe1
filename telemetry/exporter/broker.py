"""What the broker knows: the queue, its memory, and for each source how far it is.

Ages are differences of the broker's own clock. At most MAX_EDGES edges are looked at, those heard of last, and MAX_SOURCES
sources shown one by one, those that lag most; what is shown of an edge counts all of its sources.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import redis
from prometheus_client.metrics_core import Metric

from telemetry import broker
from telemetry.exporter.families import gauge, single
from telemetry.progress.growth import behind_since_us
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Range, lost_ranges
from telemetry.progress.registry import Registry, State, edges, expected_ms
from telemetry.progress.window import Window
from telemetry.readings.digests import wire_path
from telemetry.settings import Settings
from telemetry.store.read.gaps import Committed, Lost

MAX_SOURCES = 200
MAX_EDGES = 1000
SOURCE = ("source_cluster", "edge", "source", "path")
EDGE = ("source_cluster", "edge")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one source is, by what its streamer saved last."""

    edge: str
    source_id: str
    path: str
    size_bytes: int
    committed_bytes: int
    in_flight_bytes: int
    window_bytes: int
    lag_rows: float
    lag_s: float

    @property
    def lag_bytes(self) -> int:
        """Bytes of the file that are not known to be committed."""
        return max(0, self.size_bytes - self.committed_bytes)

    @property
    def window_ratio(self) -> float:
        """How full its window is."""
        return self.in_flight_bytes / self.window_bytes if self.window_bytes else 0.0

    def labels(self) -> tuple[str, ...]:
        """By SOURCE."""
        return (*_edge(self.edge), self.source_id, self.path)


def look(client: redis.Redis, settings: Settings) -> Sequence[Metric]:
    """All metrics of the broker. Raises redis.RedisError."""
    keys = Keys(settings.key_prefix)
    silent = silent_s(client, keys)
    chosen = _last_heard_of(edges(client, keys), silent)
    found = list(progress(client, settings, chosen))
    return [
        *_queue(client, settings),
        *_memory(client),
        *_sources(found),
        *_edges(found),
        *_silence(client, settings, silent),
        _lost(client, keys, chosen),
    ]


def silent_s(client: redis.Redis, keys: Keys) -> dict[str, float]:
    """For how long each edge that streams for good is overdue; the MAX_EDGES that were heard of last."""
    now_ms = broker.now_us(client) / 1000
    last = sorted(expected_ms(client, keys).items(), key=lambda item: item[1], reverse=True)[:MAX_EDGES]
    return {edge: max(0.0, now_ms - until) / 1000 for edge, until in last}


def _last_heard_of(known: Sequence[str], silent: Mapping[str, float]) -> list[str]:
    return sorted(known, key=lambda edge: (silent.get(edge, inf), edge))[:MAX_EDGES]


def progress(client: redis.Redis, settings: Settings, chosen: Sequence[str] | None = None) -> Iterator[Progress]:
    """How far each source of some edges is, or of all."""
    keys = Keys(settings.key_prefix)
    now_us = broker.now_us(client)
    for edge in edges(client, keys) if chosen is None else chosen:
        ids = sorted(each.decode() if isinstance(each, bytes) else each for each in client.smembers(keys.sources(edge)))
        with client.pipeline(transaction=False) as pipeline:
            for source_id in ids:
                pipeline.hget(keys.source(edge, source_id), "state")
            found = pipeline.execute()
        for source_id, state in zip(ids, found, strict=True):
            if state is not None:
                yield _progress(edge, source_id, json.loads(state), now_us)


def known(client: redis.Redis, settings: Settings, most: int | None = MAX_EDGES) -> dict[str, dict[str, State]]:
    """The states of the sources of each edge, by their ids; of `most` edges. Raises redis.RedisError."""
    keys = Keys(settings.key_prefix)
    return {edge: Registry(client, keys, edge, "audit", settings.lease_s).known() for edge in edges(client, keys)[:most]}


def committed(sources: Mapping[str, Mapping[str, State]]) -> list[Committed]:
    """What each edge holds for committed, for the gap audit."""
    return [
        Committed(
            edge=edge,
            fingerprint=state["fingerprint"],
            path=wire_path(state["path"]),
            anchor=state["anchor"],
            begin=state["begin"][0],
            end=state["window"]["committed"],
        )
        for edge, states in sources.items()
        for state in states.values()
    ]


def lost(client: redis.Redis, settings: Settings, most: int | None = MAX_EDGES) -> list[tuple[str, Range, float]]:
    """What each of `most` edges has recorded as lost, with the time it was found (seconds since 1970). Raises RedisError."""
    keys = Keys(settings.key_prefix)
    return [(edge, *found) for edge in edges(client, keys)[:most] for found in lost_ranges(client, keys, edge)]


def given_up(ranges: Iterable[tuple[str, Range, float]]) -> list[Lost]:
    """What is lost, for the gap audit: it is no gap."""
    return [Lost(edge, each.fingerprint, each.start, each.end) for edge, each, _ in ranges]


def _progress(edge: str, source_id: str, state: State, now_us: int) -> Progress:
    window, size = Window.from_json(state["window"]), state["size"]
    begin, line = state["begin"]
    since_us = [flight.first_published_us for flight in window.flights if not flight.acked]
    # A replay is never read up: what lies ahead of it is not late.
    if state["anchor"] is None and (seen_us := behind_since_us(state.get("grown", ()), window.committed)) is not None:
        since_us.append(seen_us)
    read_bytes, read_lines = window.end - begin, window.end_line - line
    lag_bytes = max(0, size - window.committed)
    return Progress(
        edge=edge,
        source_id=source_id,
        path=wire_path(state["path"]),
        size_bytes=size,
        committed_bytes=window.committed,
        in_flight_bytes=window.span,
        window_bytes=state.get("window_bytes", 0),
        # What is not read yet counts as the rows before it did.
        lag_rows=round(lag_bytes * read_lines / read_bytes) if read_bytes else 0,
        lag_s=max(0, now_us - min(since_us, default=now_us)) / 1_000_000,
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
        "telemetry_source_lag_seconds", "How long ago the oldest bytes that are not committed were seen in the file.", "lag_s"
    )
    yield each(
        "telemetry_source_in_flight_bytes", "Span of a source's window: published and not acknowledged.", "in_flight_bytes"
    )
    yield each(
        "telemetry_source_window_ratio", "How full the window of a source is; from 1 on no more is published.", "window_ratio"
    )


def _lost(client: redis.Redis, keys: Keys, chosen: Sequence[str]) -> Metric:
    lost = {edge: lost_ranges(client, keys, edge) for edge in chosen}
    values = {edge: float(sum(each.end - each.start for each, _ in found)) for edge, found in lost.items()}
    text = "Bytes of an edge that were gone before they were committed, as far as its record goes back."
    return gauge("telemetry_edge_lost_bytes", text, EDGE, _of_edges(values))


def _edges(found: Iterable[Progress]) -> Iterator[Metric]:
    by_edge: dict[str, list[Progress]] = defaultdict(list)
    for one in found:
        by_edge[one.edge].append(one)
    sources = {edge: float(len(each)) for edge, each in by_edge.items()}
    lag = {edge: float(sum(one.lag_bytes for one in each)) for edge, each in by_edge.items()}
    yield gauge("telemetry_edge_sources", "Sources of an edge that are remembered.", EDGE, _of_edges(sources))
    yield gauge("telemetry_edge_lag_bytes", "Bytes of all sources of an edge that are not committed.", EDGE, _of_edges(lag))


def _silence(client: redis.Redis, settings: Settings, silent: Mapping[str, float]) -> Iterator[Metric]:
    with client.pipeline(transaction=False) as pipeline:
        for edge in silent:
            pipeline.llen(replace(settings, edge=edge).tick_queue)
        ticks = dict(zip(silent, pipeline.execute(), strict=True))
    text = "For how long a streamer of an edge is overdue with a sign of life, by the interval of its own ticks."
    yield gauge("telemetry_edge_silent_seconds", text, EDGE, _of_edges(silent))
    yield gauge("telemetry_tick_queue_messages", "Ticks of an edge that no streamer has taken.", EDGE, _of_edges(ticks))


def _of_edges(values: Mapping[str, float]) -> Iterator[tuple[tuple[str, ...], float]]:
    return ((_edge(edge), value) for edge, value in values.items())


def _edge(edge: str) -> tuple[str, str]:
    return edge.partition("/")[0], edge
