"""The edges of several brokers, each as the broker knows it at which it streams now.

That is the broker that heard of it last. What another one still has of an edge is stale (`moving`), and not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import NamedTuple

import redis

from telemetry import broker
from telemetry.progress import losses, reading
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Loss
from telemetry.progress.signs import ages_s, signs
from telemetry.progress.state import SourceState

# When a broker heard of each edge that it knows, on our monotonic clock; minus infinity if nothing says when.
Heard = Mapping[str, float]


class Known(NamedTuple):
    """What one broker knows of edges: when it heard of them, their sources, what they lost."""

    heard: Heard
    states: dict[str, dict[str, SourceState]]
    lost: list[Loss]


class AwayError(redis.ConnectionError):
    """A broker is away, and the edge in question is there, or may be; the text names it."""


class Everywhere:
    """What some brokers know of edges, at most so many of each.

    It holds what a broker has said before that is away now. `away`: those of which an answer failed, and why.
    """

    def __init__(self, clients: Mapping[str, redis.Redis], keys: Keys, max_edges: int | None = None) -> None:
        self.clients = clients
        self.away: dict[str, redis.RedisError] = {}
        self._keys, self._max_edges = keys, max_edges
        self._known: dict[str, Known] = {}

    def look(self) -> None:
        """Ask all of them. Raises the error of one where none answers."""
        self.away.clear()
        for name, client in self.clients.items():
            with self.asking(name):
                states = reading.sources_by_edge(client, self._keys, self._max_edges)
                lost = losses.of_all_edges(client, self._keys, self._max_edges)
                self._known[name] = Known(heard(client, self._keys), states, lost)
        if not self.answering:
            raise next(iter(self.away.values()))

    @contextmanager
    def asking(self, name: str) -> Iterator[None]:
        """While one of them is asked something: if it does not answer, it is away, and the others are asked on."""
        try:
            yield
        except redis.RedisError as error:
            self.away[name] = error

    @property
    def answering(self) -> dict[str, redis.Redis]:
        """The brokers that are not away."""
        return {name: client for name, client in self.clients.items() if name not in self.away}

    @property
    def states(self) -> dict[str, dict[str, SourceState]]:
        """The states of the sources, by edge and source id."""
        return {edge: states for name in self._known for edge, states in self.states_at(name).items()}

    @property
    def states_now(self) -> dict[str, dict[str, SourceState]]:
        """The same of the edges whose broker has answered the last look."""
        return {edge: states for name in self.answering for edge, states in self.states_at(name).items()}

    def states_at(self, name: str) -> dict[str, dict[str, SourceState]]:
        """The same of the edges that stream at one broker."""
        homes, known = self._homes(), self._known.get(name)
        return {edge: states for edge, states in known.states.items() if homes.get(edge, name) == name} if known else {}

    @property
    def lost(self) -> list[Loss]:
        """What the edges have lost."""
        homes = self._homes()
        return [loss for name, known in self._known.items() for loss in known.lost if homes.get(loss.edge, name) == name]

    def client_of(self, edge: str) -> redis.Redis:
        """The broker at which an edge streams; of one that none knows the first.

        Raises AwayError if that broker is away, also where none that answers knows the edge, and one is away.
        """
        home = self._homes().get(edge)
        if home in self.away:
            raise AwayError(f"the broker {home}, where {edge} streams, does not answer")
        if home is None and self.away:
            raise AwayError(f"no broker that answers knows {edge}, and {', '.join(self.away)} does not answer")
        return self.clients[next(iter(self.clients)) if home is None else home]

    def nearest(self, edge: str) -> redis.Redis:
        """The broker at which an edge streams, or another one while that is away."""
        try:
            return self.client_of(edge)
        except AwayError:
            return next(iter(self.answering.values()))

    def _homes(self) -> dict[str, str]:
        return homes({name: known.heard for name, known in self._known.items()})


def heard(client: redis.Redis, keys: Keys) -> Heard:
    """When a broker heard of each edge that it knows."""
    now_us, at_s, of_edge = broker.now_us(client), monotonic(), signs(client, keys)
    others = [edge for edge in reading.edges(client, keys) if edge not in of_edge]
    known = {edge: at_s - age_s for edge, age_s in ages_s(client, keys, others).items()}
    return known | {edge: at_s - sign.age_s(now_us) for edge, sign in of_edge.items()}


def homes(by_broker: Mapping[str, Heard]) -> dict[str, str]:
    """The broker at which each edge streams: that heard of it last, the first of several where nothing says when. Pure."""
    by_edge: dict[str, str] = {}
    for name, edges in by_broker.items():
        for edge, at_s in edges.items():
            if edge not in by_edge or at_s > by_broker[by_edge[edge]][edge]:
                by_edge[edge] = name
    return by_edge
