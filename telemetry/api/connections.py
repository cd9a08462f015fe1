"""The API's way to the database and the broker: made at the first request of a process, never before a fork."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import cast

import redis
from flask import current_app
from sqlalchemy import Engine

from telemetry import broker
from telemetry.settings import Settings
from telemetry.store.engine import make_engine

# Gunicorn's threads in a process.
POOL_SIZE = 8
QUERY_TIMEOUT_S = 15
# An answer that is streamed lasts as long as its reader takes.
EXPORT_TIMEOUT_S = 1800
LOCK_TIMEOUT_S = 3
BROKER_TIMEOUT_S = 2


class Connections:
    """One process' engine and client."""

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, statement_timeout_s=QUERY_TIMEOUT_S, lock_timeout_s=LOCK_TIMEOUT_S)

    @cached_property
    def engine(self) -> Engine:
        """The database."""
        return make_engine(self.settings, application="api", pool_size=POOL_SIZE)

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


def connections() -> Connections:
    """Those of the application that answers this request."""
    return cast("Connections", current_app.extensions["connections"])
