"""The edges of several brokers, each as the broker knows it at which it streams now.

That is the broker that heard of it last. What another one still has of an edge is stale (`moving`), and not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
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


class Everywhere:
    """What some brokers know of edges, at most so many of each. It holds what a broker that is away has said before."""

    def __init__(self, clients: Mapping[str, redis.Redis], keys: Keys, max_edges: int | None = None) -> None:
        self.clients = clients
        self._keys, self._max_edges = keys, max_edges
        self._known: dict[str, Known] = {}

    def look(self) -> None:
        """Ask all of them. Raises the error of one that is away once the others have answered."""
        fault: redis.RedisError | None = None
        for name, client in self.clients.items():
            try:
                states = reading.sources_by_edge(client, self._keys, self._max_edges)
                lost = losses.of_all_edges(client, self._keys, self._max_edges)
                self._known[name] = Known(heard(client, self._keys), states, lost)
            except redis.RedisError as error:
                fault = error
        if fault is not None:
            raise fault

    @property
    def states(self) -> dict[str, dict[str, SourceState]]:
        """The states of the sources, by edge and source id."""
        homes = self._homes()
        return {
            edge: states
            for name, known in self._known.items()
            for edge, states in known.states.items()
            if homes.get(edge, name) == name
        }

    @property
    def lost(self) -> list[Loss]:
        """What the edges have lost."""
        homes = self._homes()
        return [loss for name, known in self._known.items() for loss in known.lost if homes.get(loss.edge, name) == name]

    def client_of(self, edge: str) -> redis.Redis:
        """The broker at which an edge streams; of one that none knows the first."""
        return self.clients[self._homes().get(edge, next(iter(self.clients)))]

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
    found: dict[str, str] = {}
    for name, edges in by_broker.items():
        for edge, at_s in edges.items():
            if edge not in found or at_s > by_broker[found[edge]][edge]:
                found[edge] = name
    return found
