"""The application with little patience, for a server of its own: what takes a minute elsewhere takes a second here."""

from __future__ import annotations

from flask import Flask

from telemetry.api import create_app
from telemetry.api.core import deadlines


def app() -> Flask:
    """The application."""
    deadlines.STALL_S = 5
    deadlines.SILENCE_S = 6.0
    deadlines.QUERY_S = 5
    return create_app()
