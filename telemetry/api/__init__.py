"""The API: a Flask application, made by a factory, one module per resource. SQL stays in `telemetry.store.queries`."""

from __future__ import annotations

import os

from flask import Flask

from telemetry.api import errors, gpus, health, index, metrics, requests, stats
from telemetry.api.connections import Connections
from telemetry.settings import Settings

PREFIX = "/api/v1"


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Nothing is connected here, so it may be made before a server forks."""
    app = Flask("telemetry.api", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    settings = settings or Settings.load(os.environ)
    app.extensions["connections"] = Connections(settings)
    requests.install(app)
    errors.install(app)
    app.register_blueprint(index.blueprint)
    app.register_blueprint(health.blueprint)
    metrics.install(app, settings)
    app.register_blueprint(gpus.blueprint, url_prefix=PREFIX)
    app.register_blueprint(stats.blueprint, url_prefix=PREFIX)
    return app
