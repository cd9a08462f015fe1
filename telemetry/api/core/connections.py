"""The API's way to the database and the broker: made at the first request of a process, never before a fork."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import cast

import redis
from flask import Flask, current_app, g
from sqlalchemy import Connection, Engine

from telemetry import broker
from telemetry.api.core import silence_timeout
from telemetry.settings import Settings
from telemetry.store.engine import make_engine

# A connection for each of gunicorn's threads: none of them holds two.
POOL_SIZE = 16
QUERY_TIMEOUT_S = 15
LOCK_TIMEOUT_S = 3
BROKER_TIMEOUT_S = 2


class Connections:
    """One process' engine and client."""

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, statement_timeout_s=QUERY_TIMEOUT_S, lock_timeout_s=LOCK_TIMEOUT_S)

    @cached_property
    def engine(self) -> Engine:
        """The database."""
        made = make_engine(self.settings, application="api", pool_size=POOL_SIZE)
        silence_timeout.install(made)
        return made

    @cached_property
    def broker(self) -> redis.Redis:
        """The broker."""
        return broker.connect(self.settings, socket_timeout_s=BROKER_TIMEOUT_S, retries=1)

    def close(self) -> None:
        """Let go of what was connected."""
        if "engine" in self.__dict__:
            self.engine.dispose()
        if "broker" in self.__dict__:
            self.broker.close()


def install(app: Flask, settings: Settings) -> None:
    """Give an application its connections."""
    app.extensions["connections"] = Connections(settings)


def connections() -> Connections:
    """Those of the application that answers this request."""
    return cast("Connections", current_app.extensions["connections"])


def database() -> Connection:
    """This request's connection to read by, taken at its first use and given back at the request's end.

    Each statement is a transaction of its own, which spares the way to the database twice.
    """
    if "database" not in g:
        g.database = connections().engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    return cast("Connection", g.database)


def give_back() -> None:
    """Give back the request's connection, if it has one: before it takes another, or lasts."""
    if "database" in g:
        cast("Connection", g.pop("database")).close()
