"""The API: a Flask application, made by a factory. SQL stays in `telemetry.store`.

`page` is for people, and asks what programs ask. `resources` are the URLs, a module each. `operations` declares what each of
them may be asked, and serves it; `specification` describes them all, with the `meanings` of fields. Below those are four
wings: `guards` judge who may ask, `intake` receives uploads, `answers` turns results into answers, and `core` is what all of
them need. `gunicorn_conf` configures the server, and `front` keeps slow clients from its threads.
"""

from __future__ import annotations

import os

from flask import Flask

from telemetry.api.answers import delivery, streams
from telemetry.api.core import connections, probes, problems, request_log
from telemetry.api.guards import limits
from telemetry.api.intake import places
from telemetry.api.page import provider, views
from telemetry.api.resources import (
    allocations,
    audit_log,
    batches,
    conflicts,
    deadletters,
    disputes,
    docs,
    edges,
    events,
    fleet,
    gpu_health,
    gpus,
    health,
    hosts,
    index,
    latest,
    metrics,
    own_metrics,
    pipeline,
    prometheus,
    quarantine,
    raw_readings,
    readings,
    sources,
    stats,
    uploads,
    usage,
)
from telemetry.settings import Settings

PREFIX = "/api/v1"
RESOURCES = (
    gpus,
    readings,
    raw_readings,
    allocations,
    hosts,
    metrics,
    fleet,
    latest,
    gpu_health,
    events,
    stats,
    pipeline,
    edges,
    sources,
    batches,
    quarantine,
    conflicts,
    deadletters,
    audit_log,
    uploads,
    usage,
    prometheus,
    disputes,
    docs,
)


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Nothing is connected here, so it may be made before a server forks."""
    app = Flask("telemetry.api", static_folder=None)
    app.url_map.strict_slashes = False
    settings = settings or Settings.load(os.environ)
    connections.install(app, settings)
    probes.install(app)
    streams.install(app, settings)
    places.install(app, settings)
    request_log.install(app)
    # Before the limits, so that refused requests are counted too.
    own_metrics.install(app, settings)
    delivery.install(app)
    limits.install(app)
    problems.install(app)
    provider.install(app, settings)
    app.register_blueprint(views.blueprint)
    app.register_blueprint(index.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(own_metrics.blueprint)
    for resource in RESOURCES:
        app.register_blueprint(resource.blueprint, url_prefix=PREFIX)
    return app
