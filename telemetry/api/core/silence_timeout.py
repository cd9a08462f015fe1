"""A database connection that gives up when the server falls silent.

Postgres enforces its own timeouts, so a frozen server enforces none. When nothing arrived for too long, the query is cancelled
if the server still listens, and the connection is closed.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, event

from telemetry.api.core import deadlines

T = TypeVar("T")


class _SilentError(Exception):
    """Nothing arrived for too long."""


class TimedConnection(psycopg.Connection[Any]):
    """A connection that waits for `silence_s` at most until something arrives. Raises psycopg.errors.QueryCanceled then."""

    silence_s = deadlines.SILENCE_S

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **named: Any) -> T:
        """Every wait of psycopg goes through this method."""
        try:
            first_wait = next(gen)
        except StopIteration as end:
            # Nothing to wait for, such as a row of COPY that has arrived already. There are millions of them.
            result: T = end.value
            return result
        try:
            return super().wait(_limited(gen, first_wait, self.silence_s), *args, **named)
        except _SilentError:
            with suppress(psycopg.Error, OSError):
                self.cancel_safe(timeout=deadlines.CANCEL_S)
            self.close()
            raise psycopg.errors.QueryCanceled(f"nothing came from the database for {self.silence_s:g} s") from None


def install(engine: Engine) -> None:
    """Let an engine make such connections."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
        connection = TimedConnection.connect(*args, **parameters)
        connection.silence_s = deadlines.SILENCE_S
        return connection


def _limited(gen: Generator[Any, Any, T], wait: Any, silence_s: float) -> Generator[Any, Any, T]:
    """The waits of `gen`, of which `wait` is the first, until nothing arrived for `silence_s`."""
    heard = monotonic()
    try:
        while True:
            ready = yield wait
            if ready:
                heard = monotonic()
            elif monotonic() - heard > silence_s:
                raise _SilentError
            wait = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
