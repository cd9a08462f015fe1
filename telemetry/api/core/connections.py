"""The way to the database and the broker. Both are connected at the first request of a process, never before a fork.

A request borrows a database connection at its first use of `database()`, which is one of a replica where there is one to read
from, and of `primary()`. `telemetry.api.operations` gives them back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import TypeVar, cast

import psycopg
import redis
import sqlalchemy.exc
from flask import Flask, current_app, g, request
from sqlalchemy import Connection, Engine

from telemetry import broker
from telemetry.api.core import deadlines, silence_timeout
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.follower import Follower

T = TypeVar("T")
# At least one for each of gunicorn's threads: none of them holds two.
POOL_SIZE = 16


class Connections:
    """The engine and the broker's client of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, statement_timeout_s=deadlines.QUERY_S, lock_timeout_s=deadlines.LOCK_S)
        self._making = Lock()
        self._follower: Follower | None = None
        # Whether the database answers nobody; the probes say it.
        self.is_frozen: Callable[[], bool] = lambda: False
        # Waits for probes that are out: a connection that comes back to a closed pool stays open.
        self.settle: Callable[[], None] = lambda: None

    @cached_property
    def engine(self) -> Engine:
        """The database."""
        engine = make_engine(self.settings, application="api", pool_size=POOL_SIZE, connect_timeout_s=deadlines.CONNECT_S)
        silence_timeout.install(engine, self.is_frozen, deadlines.SILENCE_S)
        return engine

    @property
    def reading(self) -> Engine:
        """The database to read from now: a replica, as long as it follows the primary."""
        url = self.settings.database_read_url
        if url is None:
            return self.engine
        with self._making:
            self._follower = self._follower or following(self.settings, url, self.engine, "api", POOL_SIZE)
        return self._follower.engine

    def left(self, error: Exception) -> bool:
        """Whether an error says that a replica is away, or cancels what it cannot answer; then reads go to the primary now."""
        cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
        is_away = isinstance(cause, psycopg.OperationalError) and not isinstance(cause, psycopg.errors.QueryCanceled)
        if not is_away or self._follower is None or g.get("reading", self.engine) is self.engine:
            return False
        self._follower.leave()
        return True

    @cached_property
    def probing_engine(self) -> Engine:
        """The database by a connection that nothing else uses, so that what it says is of the server and not of the pool."""
        engine = make_engine(self.settings, application="api", pool_size=1, connect_timeout_s=deadlines.CONNECT_S)
        silence_timeout.install(engine, lambda: False, deadlines.FROZEN_S)
        return engine

    @cached_property
    def broker(self) -> redis.Redis:
        """The broker."""
        return broker.connect(self.settings, socket_timeout_s=deadlines.BROKER_S, retries=1)

    @cached_property
    def hasty_broker(self) -> redis.Redis:
        """The broker, for what a read can do without: it gives up at once, so that a frozen broker does not hold up reads."""
        return broker.connect(self.settings, socket_timeout_s=deadlines.HASTE_S, retries=0)

    @cached_property
    def brokers(self) -> dict[str, redis.Redis]:
        """Each of several brokers by its name, asked as the one above; that one alone where there are not several."""
        return self._each(deadlines.HASTE_S, 0) if self.settings.broker_urls else {"": self.hasty_broker}

    @cached_property
    def patient_brokers(self) -> dict[str, redis.Redis]:
        """The same, asked as `broker` is."""
        return self._each(deadlines.BROKER_S, 1) if self.settings.broker_urls else {"": self.broker}

    def _each(self, socket_timeout_s: float, retries: int) -> dict[str, redis.Redis]:
        return {
            name: broker.connect(one, socket_timeout_s=socket_timeout_s, retries=retries)
            for name, one in self.settings.brokers.items()
        }

    def close(self) -> None:
        """Close what was connected."""
        self.settle()
        for name in ("brokers", "patient_brokers"):
            for client in self.__dict__.get(name, {}).values():
                client.close()
        if self._follower:
            self._follower.close()
        if "engine" in self.__dict__:
            self.engine.dispose()
        if "probing_engine" in self.__dict__:
            self.probing_engine.dispose()
        if "broker" in self.__dict__:
            self.broker.close()
        if "hasty_broker" in self.__dict__:
            self.hasty_broker.close()


def following(settings: Settings, url: str, primary: Engine, application: str, pool_size: int) -> Follower:
    """A replica to read from while it follows. Its connections give up a little later than its server should."""
    silence_s = settings.statement_timeout_s + deadlines.SILENCE_S - deadlines.QUERY_S

    def engine(pool_size: int, url: str | None) -> Engine:
        return make_engine(
            settings, application=application, pool_size=pool_size, connect_timeout_s=deadlines.CONNECT_S, url=url
        )

    replica, asking = engine(pool_size, url), (engine(1, None), engine(1, url))
    for one in asking:
        silence_timeout.install(one, lambda: False, silence_s)
    follower = Follower(primary, replica, asking, settings.database_read_lag_s)
    silence_timeout.install(replica, follower.is_silent, silence_s)
    return follower


def install(app: Flask, settings: Settings) -> None:
    """Give an application its connections."""
    app.extensions["connections"] = Connections(settings)


def connections() -> Connections:
    """The connections of the application that answers this request."""
    return cast("Connections", current_app.extensions["connections"])


def database() -> Connection:
    """The connection that this request reads by, borrowed from the pool at the first call."""
    if "reading" not in g:
        g.reading = connections().reading
    return primary() if g.reading is connections().engine else _borrowed("database", g.reading)


def left_the_replica(error: Exception) -> bool:
    """Whether this request is to be answered anew, from the primary: the replica that it read from is away."""
    if request.method != "GET" or not connections().left(error):
        return False
    give_back()
    g.reading = connections().engine
    return True


def by_either(read: Callable[[], T]) -> T:
    """What `read` returns; by the primary, if the replica that it asked is found to be away."""
    try:
        return read()
    except sqlalchemy.exc.DBAPIError as error:
        if not left_the_replica(error):
            raise
    return read()


def primary() -> Connection:
    """The connection to the primary, for what a replica may not know yet, such as that a key was revoked."""
    return _borrowed("primary", connections().engine)


def _borrowed(name: str, engine: Engine) -> Connection:
    # Each statement is a transaction of its own, which saves two round trips.
    if name not in g:
        setattr(g, name, engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
    return cast("Connection", g.get(name))


def give_back() -> None:
    """Give the request's connections back to their pools, if it borrowed any. Only `operations` decides when."""
    g.pop("reading", None)
    for name in ("database", "primary"):
        if name in g:
            cast("Connection", g.pop(name)).close()
