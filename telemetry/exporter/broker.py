"""What a broker knows: the queue, its memory, and for each source how far it is.

Of several brokers each is looked at by itself, and its metrics have the label `broker`. An edge is shown where it streams now;
what another broker still has of it is removed.

Ages are differences of the broker's own clock. At most MAX_EDGES edges are looked at, those heard of last, and MAX_SOURCES
sources shown one by one, those that lag most; what is shown of an edge counts all of its sources.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from math import inf
from typing import NamedTuple

import redis
from prometheus_client.metrics_core import Metric

from telemetry import broker
from telemetry.exporter.families import by_edge, edge_labels, gauge, single, with_label
from telemetry.progress import losses, machines, reading
from telemetry.progress.everywhere import Heard, heard, homes
from telemetry.progress.keys import Keys
from telemetry.progress.moving import forget_moved
from telemetry.progress.signs import signs
from telemetry.progress.state import SourceState
from telemetry.settings import Settings

MAX_SOURCES = 200
MAX_EDGES = 1000
# Of the edges that have moved away so many are removed at each look.
MAX_REMOVED = 50
SOURCE = ("source_cluster", "edge", "source", "path")


class Source(NamedTuple):
    """One source of an edge: its id, its state, and for how long its oldest byte that is not committed has been waiting."""

    edge: str
    source_id: str
    state: SourceState
    lag_s: float

    def labels(self) -> tuple[str, ...]:
        """By SOURCE."""
        return (*edge_labels(self.edge), self.source_id, self.state.shown_path)


SOURCE_GAUGES: tuple[tuple[str, str, Callable[[Source], float]], ...] = (
    (
        "telemetry_source_size_bytes",
        "Size of the file when its streamer last saw it change.",
        lambda source: source.state.size_bytes,
    ),
    (
        "telemetry_source_committed_bytes",
        "Offset up to which a source is committed without a gap.",
        lambda source: source.state.window.committed,
    ),
    (
        "telemetry_source_lag_bytes",
        "Bytes of a source that are not committed.",
        lambda source: source.state.lag_bytes,
    ),
    (
        "telemetry_source_lag_rows",
        "Rows of a source that are not committed, by the average size of those read.",
        lambda source: source.state.lag_rows,
    ),
    (
        "telemetry_source_lag_seconds",
        "How long ago the oldest bytes that are not committed were seen in the file.",
        lambda source: source.lag_s,
    ),
    (
        "telemetry_source_in_flight_bytes",
        "Span of a source's window: published and not acknowledged.",
        lambda source: source.state.window.span,
    ),
    (
        "telemetry_source_window_ratio",
        "How full the window of a source is; from 1 on no more is published.",
        lambda source: source.state.window_ratio,
    ),
)


class BrokerLook:
    """The look at one of some brokers. `known` is what all of them heard of edges, shared by their looks."""

    def __init__(self, name: str, clients: Mapping[str, redis.Redis], settings: Settings, known: dict[str, Heard]) -> None:
        self._name, self._client, self._clients = name, clients[name], clients
        self._settings, self._known = settings, known

    def __call__(self) -> Sequence[Metric]:
        """All metrics of the broker. Raises redis.RedisError."""
        if not self._name:
            return look(self._client, self._settings)
        keys = Keys(self._settings.key_prefix)
        self._known[self._name] = of_this = heard(self._client, keys)
        at = homes(dict(self._known))
        elsewhere = {edge for edge in of_this if at[edge] != self._name}
        moved = (edge for edge in elsewhere if self._known[at[edge]][edge] > -inf)
        for edge in islice(moved, MAX_REMOVED):
            # What it has lost goes to where it is now, so not while that broker is away or gives us too few rights.
            with suppress(redis.RedisError):
                forget_moved(edge, keys, self._client, self._clients[at[edge]])
        return with_label("broker", self._name, look(self._client, self._settings, elsewhere))


def look(client: redis.Redis, settings: Settings, elsewhere: Collection[str] = ()) -> Sequence[Metric]:
    """All metrics of a broker, without edges that stream elsewhere. Raises redis.RedisError."""
    keys = Keys(settings.key_prefix)
    silent = {edge: age_s for edge, age_s in silent_s(client, keys).items() if edge not in elsewhere}
    chosen = _last_heard_of([edge for edge in reading.edges(client, keys) if edge not in elsewhere], silent)
    every = list(sources(client, keys, chosen))
    return [
        *_queue(client, settings),
        *_memory(client),
        *_sources(every),
        *_edges(every),
        *_silence(client, keys, silent),
        _lost(client, keys, chosen),
    ]


def silent_s(client: redis.Redis, keys: Keys) -> dict[str, float]:
    """For how long each edge that streams for good is overdue; the MAX_EDGES that were heard of last."""
    now_us = broker.now_us(client)
    last = sorted(signs(client, keys).items(), key=lambda item: item[1].until_ms, reverse=True)[:MAX_EDGES]
    return {edge: sign.silent_s(now_us) for edge, sign in last}


def _last_heard_of(known: Sequence[str], silent: Mapping[str, float]) -> list[str]:
    return sorted(known, key=lambda edge: (silent.get(edge, inf), edge))[:MAX_EDGES]


def sources(client: redis.Redis, keys: Keys, names: Iterable[str]) -> Iterator[Source]:
    """The sources of some edges."""
    now_us = broker.now_us(client)
    for edge in names:
        for source_id, state in reading.sources(client, keys, edge).items():
            yield Source(edge, source_id, state, state.lag_s(now_us))


def _queue(client: redis.Redis, settings: Settings) -> Iterator[Metric]:
    unacked = Keys(settings.key_prefix).unacked("central")
    with client.pipeline(transaction=False) as pipeline:
        pipeline.llen(settings.ingest_queue)
        pipeline.hlen(unacked)
        waiting, fetched = pipeline.execute()
    yield single("telemetry_queue_messages", "Messages on the ingest queue that no collector has fetched.", waiting)
    yield single("telemetry_queue_unacked_messages", "Messages that collectors fetched and have not acknowledged.", fetched)


def _memory(client: redis.Redis) -> Iterator[Metric]:
    try:
        memory = client.info("memory")
    except redis.ResponseError:
        # Not every user of a broker may ask, and not every broker tells.
        return
    limit = int(memory.get("maxmemory") or 0) or int(memory.get("total_system_memory") or 0)
    yield single("telemetry_broker_memory_bytes", "Memory the broker uses.", memory["used_memory"])
    yield single(
        "telemetry_broker_memory_limit_bytes", "Memory the broker may use: its maxmemory, else that of its machine.", limit
    )
    if policy := memory.get("maxmemory_policy"):
        text = "1 if the broker drops keys when its memory is full, 0 if it refuses what is new."
        yield single("telemetry_broker_may_evict", text, float(policy != broker.KEEPS_ALL))


def _sources(every: Sequence[Source]) -> Iterator[Metric]:
    shown = sorted(every, key=lambda source: source.state.lag_bytes, reverse=True)[:MAX_SOURCES]
    for name, text, value in SOURCE_GAUGES:
        yield gauge(name, text, SOURCE, ((source.labels(), float(value(source))) for source in shown))


def _lost(client: redis.Redis, keys: Keys, chosen: Sequence[str]) -> Metric:
    values = {
        edge: float(sum(loss.lost.end - loss.lost.start for loss in losses.of_edge(client, keys, edge))) for edge in chosen
    }
    text = "Bytes of an edge that were gone before they were committed, as far as its record goes back."
    return by_edge("telemetry_edge_lost_bytes", text, values)


def _edges(every: Iterable[Source]) -> Iterator[Metric]:
    number, foreign, lag_bytes = Counter[str](), Counter[str](), Counter[str]()
    for source in every:
        number[source.edge] += 1
        foreign[source.edge] += not source.state.is_read
        lag_bytes[source.edge] += source.state.lag_bytes
    yield by_edge("telemetry_edge_sources", "Sources of an edge that are remembered.", number)
    text = "Sources of an edge of which nothing, or not all, is read, as no format knows a header in them."
    yield by_edge("telemetry_edge_foreign_sources", text, foreign)
    text = "Bytes of all sources of an edge that are not committed."
    yield by_edge("telemetry_edge_lag_bytes", text, lag_bytes)


def _silence(client: redis.Redis, keys: Keys, silent: Mapping[str, float]) -> Iterator[Metric]:
    with client.pipeline(transaction=False) as pipeline:
        for edge in silent:
            pipeline.llen(keys.tick(edge))
        ticks = dict(zip(silent, pipeline.execute(), strict=True))
    refused = machines.refused(client, keys, silent)
    text = "Machines that are refused, as they have the name of an edge that another one streams for."
    yield by_edge("telemetry_edge_refused_machines", text, {edge: float(len(refused.get(edge, []))) for edge in silent})
    text = "For how long a streamer of an edge is overdue with a sign of life, by the interval of its own ticks."
    yield by_edge("telemetry_edge_silent_seconds", text, silent)
    yield by_edge("telemetry_tick_queue_messages", "Ticks of an edge that no streamer has taken.", ticks)
