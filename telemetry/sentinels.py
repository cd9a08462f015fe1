"""Asks Redis' sentinels which server is the primary now.

A sentinel is asked at each new connection to the broker, and the connection to the sentinel is closed again: sentinels are few,
and processes that ask are many. The first that names a primary which it holds for alive is believed, and is the first to be
asked the next time. While one is silent the next one is asked beside it. The `failover` module goes where this one says.
"""

from __future__ import annotations

from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

Place = tuple[str, int]

# A sentinel that says nothing for so long has no answer; after so long the next one is asked, too.
ANSWER_S = 1.0
NEXT_S = 0.1
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
        answers: SimpleQueue[tuple[Place, Place | Exception]] = SimpleQueue()
        waiting, refusals = list(self._places), list[str]()
        while len(refusals) < len(self._places):
            if waiting:
                # A daemon: a sentinel that hangs must not keep the process from ending.
                Thread(target=self._ask, args=[waiting.pop(0), answers], daemon=True).start()
            try:
                place, answer = answers.get(timeout=NEXT_S if waiting else None)
            except Empty:
                continue
            if isinstance(answer, Exception):
                refusals.append(f"{shown(place)}: {answer}")
                continue
            self.named = answer
            self._places = (place, *(other for other in self._places if other != place))
            return answer
        raise redis.ConnectionError(f"no sentinel names a primary of {self.service}: {'; '.join(refusals)}")

    def _ask(self, place: Place, answers: SimpleQueue[tuple[Place, Place | Exception]]) -> None:
        try:
            answers.put((place, self.ask(place)))
        except Exception as error:  # noqa: BLE001 - the one who waits gets it
            answers.put((place, error))

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
