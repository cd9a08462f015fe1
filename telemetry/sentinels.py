"""Asks Redis' sentinels which server is the primary now.

A sentinel is asked at each new connection to the broker, and the connection to the sentinel is closed again: sentinels are few,
and processes that ask are many. The first that names a primary which it holds for alive is believed, and is the first to be
asked the next time. The `failover` module goes where this one says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

Place = tuple[str, int]

# A frozen sentinel is passed over after this time.
ANSWER_S = 1.0
# States in which a sentinel itself does not trust the server that it would name.
DOWN = {"s_down", "o_down", "disconnected"}


class Sentinels:
    """The sentinels at some places, which watch a primary under the name `service`. `options` are of connections to them."""

    def __init__(self, places: Sequence[Place], service: str, *, answer_s: float = ANSWER_S, **options: Any) -> None:
        self._places = tuple(places)
        self._answer_s = answer_s
        self.service = service
        self.options = options
        # The primary that was named last.
        self.named: Place | None = None

    def __repr__(self) -> str:
        return f"<sentinels of {self.service}: {', '.join(map(shown, self._places))}>"

    def primary(self) -> Place:
        """The primary now. Raises redis.ConnectionError, which says what each sentinel said."""
        refusals = []
        for place in self._places:
            try:
                self.named = self.ask(place)
            except redis.RedisError as error:
                refusals.append(f"{shown(place)}: {error}")
                continue
            self._places = (place, *(other for other in self._places if other != place))
            return self.named
        raise redis.ConnectionError(f"no sentinel names a primary of {self.service}: {'; '.join(refusals)}")

    def ask(self, place: Place) -> Place:
        """The primary that one sentinel names. Raises RedisError where it names none that it holds for alive."""
        with self._sentinel(place) as sentinel:
            state = _state(sentinel.execute_command("SENTINEL MASTER", self.service, return_responses=True))
        down = DOWN & set(state["flags"])
        if down or "master" not in state["flags"]:
            raise redis.ConnectionError(f"it holds the primary for down ({', '.join(sorted(down)) or 'no master'})")
        return state["ip"], int(state["port"])

    def replicas(self) -> list[Place]:
        """The replicas that a sentinel knows, alive or not. Raises redis.ConnectionError."""
        self.primary()
        with self._sentinel(self._places[0]) as sentinel:
            states = sentinel.execute_command("SENTINEL SLAVES", self.service, return_responses=True)
        return [(state["ip"], int(state["port"])) for state in map(_state, states)]

    def _sentinel(self, place: Place) -> redis.Redis:
        host, port = place
        timeouts: dict[str, Any] = {
            "socket_timeout": self._answer_s,
            "socket_connect_timeout": self._answer_s,
            "retry": Retry(NoBackoff(), 0),
        }
        return redis.Redis(host=host, port=port, client_name="telemetry", decode_responses=True, **timeouts, **self.options)


def shown(place: Place) -> str:
    """A place as text."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _state(reply: dict[str, Any]) -> dict[str, Any]:
    flags = reply["flags"]
    return reply | {"flags": flags.split(",") if isinstance(flags, str) else list(flags)}
