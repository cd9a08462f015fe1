"""The API: a Flask application, made by a factory, one module per resource. SQL stays in `telemetry.store`."""

from __future__ import annotations

import os

from flask import Flask

from telemetry.api import (
    audit,
    batches,
    connections,
    deadletters,
    delivery,
    docs,
    edges,
    errors,
    fleet,
    gpus,
    health,
    hosts,
    index,
    limits,
    live,
    metrics,
    quarantine,
    readings,
    requests,
    scrape,
    sources,
    stats,
    streams,
    uploads,
)
from telemetry.settings import Settings

PREFIX = "/api/v1"
RESOURCES = (
    gpus,
    readings,
    hosts,
    metrics,
    fleet,
    live,
    stats,
    edges,
    sources,
    batches,
    quarantine,
    deadletters,
    audit,
    uploads,
    docs,
)


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Nothing is connected here, so it may be made before a server forks."""
    app = Flask("telemetry.api", static_folder=None)
    app.url_map.strict_slashes = False
    settings = settings or Settings.load(os.environ)
    connections.install(app, settings)
    streams.install(app, settings)
    requests.install(app)
    # Before the limits: who is refused is counted too.
    scrape.install(app, settings)
    delivery.install(app)
    limits.install(app)
    errors.install(app)
    app.register_blueprint(index.blueprint)
    app.register_blueprint(health.blueprint)
    for resource in RESOURCES:
        app.register_blueprint(resource.blueprint, url_prefix=PREFIX)
    return app
