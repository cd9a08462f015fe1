"""The application with little patience, for a server of its own: what takes a minute elsewhere takes a second here."""

from __future__ import annotations

from flask import Flask

from telemetry.api import create_app
from telemetry.api.answers import streams
from telemetry.api.core import connections, silence_timeout


def app() -> Flask:
    """The application."""
    streams.STALL_S = 3
    silence_timeout.Connection.silence_s = 6.0
    connections.QUERY_TIMEOUT_S = 5
    return create_app()
