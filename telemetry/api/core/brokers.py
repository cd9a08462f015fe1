"""What the brokers know of the edges, asked all at once, and by which of several an edge streams.

A broker that does not answer is left out by name, so that nobody takes what the others say for all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeVar

import redis

from telemetry import broker
from telemetry.api.core.connections import connections
from telemetry.progress import losses, reading
from telemetry.progress.everywhere import Heard, heard, homes
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Loss
from telemetry.progress.state import SourceState
from telemetry.settings import Settings

T = TypeVar("T")


class Seen(NamedTuple):
    """What one broker says: its clock, when it heard of each edge, their sources, and its queue."""

    now_us: int
    heard: Heard
    states: Mapping[str, Mapping[str, SourceState]]
    waiting: int
    unacked: int


class Edge(NamedTuple):
    """An edge as the broker knows it that heard of it last, and the clock of that broker."""

    name: str
    states: Mapping[str, SourceState]
    now_us: int


@dataclass(frozen=True, slots=True)
class All:
    """What each broker says by its name, None of one that does not answer. That of a single broker is empty."""

    by_name: Mapping[str, Seen | None]

    @property
    def answered(self) -> dict[str, Seen]:
        """Those that have answered."""
        return {name: seen for name, seen in self.by_name.items() if seen is not None}

    @property
    def is_whole(self) -> bool:
        """Whether all of them have answered."""
        return None not in self.by_name.values()

    @property
    def edges(self) -> Iterator[Edge]:
        """The edges, each once."""
        at = homes({name: seen.heard for name, seen in self.answered.items()})
        for name, seen in self.answered.items():
            yield from (Edge(edge, states, seen.now_us) for edge, states in seen.states.items() if at.get(edge, name) == name)


def look() -> All:
    """Ask all brokers. It takes no longer than one that does not answer."""
    return All(_of_each(partial(_seen, settings=connections().settings)))


def lost() -> dict[str, list[Loss] | None]:
    """What the edges have lost, as each broker knows it."""
    return _of_each(partial(losses.of_all_edges, keys=Keys(connections().settings.key_prefix)))


def settings_of(edge: str) -> Settings:
    """The settings by which the broker is used at which an edge streams; of one that none knows that which it would take.

    While that is away it is another one: its collectors write to the same database.
    """
    settings = connections().settings
    if not settings.broker_urls:
        return settings
    known = _of_each(partial(heard, keys=Keys(settings.key_prefix)))
    answered = {name: of_edges for name, of_edges in known.items() if of_edges is not None}
    if home := homes(answered).get(edge):
        return settings.brokers[home]
    own = replace(settings, broker_name="").at_broker(edge)
    urls = {settings.brokers[name].broker_url for name in answered}
    return own if own.broker_url in urls or not answered else settings.brokers[next(iter(answered))]


def _of_each(ask: Callable[[redis.Redis], T]) -> dict[str, T | None]:
    """What each broker says, by its name; None of one that does not answer."""
    clients = connections().patient_brokers

    def answer(client: redis.Redis) -> T | None:
        try:
            return ask(client)
        except (redis.RedisError, OSError):
            return None

    with ThreadPoolExecutor(len(clients), "broker") as pool:
        return dict(zip(clients, pool.map(answer, clients.values()), strict=True))


def _seen(client: redis.Redis, settings: Settings) -> Seen:
    keys = Keys(settings.key_prefix)
    return Seen(
        now_us=broker.now_us(client),
        heard=heard(client, keys),
        states=reading.sources_by_edge(client, keys),
        waiting=client.llen(settings.ingest_queue),
        unacked=client.hlen(keys.unacked("central")),
    )
