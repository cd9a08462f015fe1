"""`GET /metrics`: requests by route, and whether the broker answers the API; for Prometheus.

Behind gunicorn the workers count together if `telemetry.api.gunicorn_conf` is its configuration; else each shows its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from pydantic import BaseModel

from telemetry.api.core.parameters import Query
from telemetry.api.core.request_log import route
from telemetry.api.operations import operation
from telemetry.api.resources.health import PATIENCE_S, Probe
from telemetry.monitoring.counters import definitions
from telemetry.monitoring.port.connection import status_metric
from telemetry.monitoring.port.server import registry_of
from telemetry.settings import Settings

COMPONENT = "api"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

blueprint = Blueprint("scrape", __name__)


class _Broker:
    """Asks the broker at the scrape: an API's processes have no thread that does."""

    def __init__(self, cluster: str, probe: Probe) -> None:
        self._cluster, self._probe = cluster, probe

    def collect(self) -> Iterator[Metric]:
        """For a registry of prometheus_client."""
        try:
            reachable = self._probe.begin().result(PATIENCE_S)["status"] == "ok"
        except TimeoutError:
            reachable = False
        yield status_metric(self._cluster, COMPONENT, reachable)


def install(app: Flask, settings: Settings) -> None:
    """Count each request, and show it."""

    @app.after_request
    def count(response: Response) -> Response:
        method = request.method if request.method in METHODS else "other"
        definitions.of(definitions.ApiCounters).requests.labels(route(), method, str(response.status_code)).observe(
            monotonic() - g.began_s
        )
        return response

    app.register_blueprint(blueprint)
    app.extensions["metrics"] = lambda: registry_of(
        settings, COMPONENT, [_Broker(settings.cluster_name, app.extensions["probes"]["broker"])]
    )


@operation(blueprint, "/metrics", BaseModel, Query, scope=None, media=("text/plain",))
def show_own_metrics(_: Query) -> Response:
    """The API's own metrics, for Prometheus."""
    extensions = current_app.extensions
    # At the first scrape and not before: by then the process knows whether it shares its counts.
    if not isinstance(extensions["metrics"], CollectorRegistry):
        extensions["metrics"] = extensions["metrics"]()
    return Response(generate_latest(extensions["metrics"]), content_type=CONTENT_TYPE_LATEST)
