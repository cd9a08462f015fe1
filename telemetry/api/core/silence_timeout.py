"""A database connection that does not wait for ever. The time limits of Postgres rest with it: frozen, it keeps none.

Owns the limit on silence. When it is over, the query is cancelled as well as can be, and the connection closed.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, event

# More than a statement may take: where Postgres still keeps its own limit, that one comes first.
SILENCE_S = 17.0
# How long a server that may be frozen is asked to give up a query.
CANCEL_S = 1.0

T = TypeVar("T")


class _SilentError(Exception):
    """Nothing came for too long."""


class Connection(psycopg.Connection[Any]):
    """A connection that hears nothing for `silence_s` at most."""

    silence_s = SILENCE_S

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **named: Any) -> T:
        """What psycopg waits with, whatever it waits for."""
        try:
            wanted = next(gen)
        except StopIteration as end:
            # Nothing to wait for, such as a row of COPY that is here already: there are millions of them.
            found: T = end.value
            return found
        try:
            return super().wait(_bounded(gen, wanted, self.silence_s), *args, **named)
        except _SilentError:
            with suppress(psycopg.Error, OSError):
                self.cancel_safe(timeout=CANCEL_S)
            self.close()
            raise psycopg.errors.QueryCanceled(f"nothing came from the database for {self.silence_s:g} s") from None


def install(engine: Engine) -> None:
    """Let an engine make such connections."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
        return Connection.connect(*args, **parameters)


def _bounded(gen: Generator[Any, Any, T], wanted: Any, silence_s: float) -> Generator[Any, Any, T]:
    heard = monotonic()
    try:
        while True:
            ready = yield wanted
            if ready:
                heard = monotonic()
            elif monotonic() - heard > silence_s:
                raise _SilentError
            wanted = gen.send(ready)
    except StopIteration as end:
        found: T = end.value
        return found
