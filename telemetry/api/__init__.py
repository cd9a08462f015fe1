"""The API: a Flask application, made by a factory, one module per resource. SQL stays in `telemetry.store`."""

from __future__ import annotations

import os

from flask import Flask

from telemetry.api.answers import delivery, streams
from telemetry.api.core import connections, problems, request_log
from telemetry.api.guards import limits
from telemetry.api.resources import (
    audit_log,
    batches,
    deadletters,
    docs,
    edges,
    fleet,
    gpus,
    health,
    hosts,
    index,
    live,
    metrics,
    own_metrics,
    quarantine,
    readings,
    sources,
    stats,
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
    audit_log,
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
    request_log.install(app)
    # Before the limits: who is refused is counted too.
    own_metrics.install(app, settings)
    delivery.install(app)
    limits.install(app)
    problems.install(app)
    app.register_blueprint(index.blueprint)
    app.register_blueprint(health.blueprint)
    for resource in RESOURCES:
        app.register_blueprint(resource.blueprint, url_prefix=PREFIX)
    return app
