"""A database connection that gives up when the server falls silent.

Postgres enforces its own timeouts, so a frozen server enforces none. When nothing arrived for too long, the query is cancelled
if the server still listens, and the connection is closed. Where the server answers nobody else either, that is much sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, event

from telemetry.api.core import deadlines

T = TypeVar("T")

FROZEN = "the database answers nobody: it is frozen or overloaded"


class _SilentError(Exception):
    """Nothing arrived for too long."""


class FrozenError(psycopg.OperationalError):
    """The server answers nobody."""


class TimedConnection(psycopg.Connection[Any]):
    """A connection that waits for `silence_s` at most until something arrives. Raises psycopg.errors.QueryCanceled then.

    Raises FrozenError, much sooner, once `is_frozen` says that the server answers nobody.
    """

    silence_s = deadlines.SILENCE_S
    is_frozen: Callable[[], bool] = staticmethod(lambda: False)

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **named: Any) -> T:
        """Every wait of psycopg goes through this method."""
        try:
            first_wait = next(gen)
        except StopIteration as end:
            # Nothing to wait for, such as a row of COPY that has arrived already. There are millions of them.
            result: T = end.value
            return result
        try:
            return super().wait(_limited(gen, first_wait, self.silence_s, self.is_frozen), *args, **named)
        except FrozenError:
            self.close()
            raise
        except _SilentError:
            with suppress(psycopg.Error, OSError):
                self.cancel_safe(timeout=deadlines.CANCEL_S)
            self.close()
            raise psycopg.errors.QueryCanceled(f"nothing came from the database for {self.silence_s:g} s") from None


def install(engine: Engine, is_frozen: Callable[[], bool], silence_s: float) -> None:
    """Let an engine make such connections."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
        if is_frozen():
            raise FrozenError(FROZEN)
        connection = TimedConnection.connect(*args, **parameters)
        connection.silence_s, connection.is_frozen = silence_s, is_frozen
        return connection


def _limited(gen: Generator[Any, Any, T], wait: Any, silence_s: float, is_frozen: Callable[[], bool]) -> Generator[Any, Any, T]:
    """The waits of `gen`, of which `wait` is the first, until nothing arrived for `silence_s`."""
    heard = monotonic()
    try:
        while True:
            ready = yield wait
            if ready:
                heard = monotonic()
            elif (silent_s := monotonic() - heard) > silence_s:
                raise _SilentError
            elif silent_s > deadlines.DOUBT_S and is_frozen():
                raise FrozenError(FROZEN)
            wait = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
