"""`GET /metrics` for Prometheus: requests by route, and whether the broker answers the API.

Behind gunicorn the workers count together if its configuration is `telemetry.api.gunicorn_conf`. Otherwise each shows its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from time import monotonic

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from pydantic import BaseModel

from telemetry.api.core.probes import Probe
from telemetry.api.core.queries import Query
from telemetry.api.core.request_log import route
from telemetry.api.operations import operation
from telemetry.monitoring.counters import definitions
from telemetry.monitoring.port.connection import status_metric
from telemetry.monitoring.port.server import registry_of
from telemetry.settings import Settings

COMPONENT = "api"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

blueprint = Blueprint("scrape", __name__)


class _Broker:
    """Asks the broker at each scrape, because the API's processes have no thread that asks it regularly."""

    def __init__(self, cluster: str, probe: Probe) -> None:
        self._cluster, self._probe = cluster, probe

    def collect(self) -> Iterator[Metric]:
        """Whether the broker answers, for a registry of prometheus_client."""
        yield status_metric(self._cluster, COMPONENT, self._probe.state()["status"] == "ok")


def install(app: Flask, settings: Settings) -> None:
    """Count each request of an application, and show the counts."""

    @app.after_request
    def count(response: Response) -> Response:
        method = request.method if request.method in METHODS else "other"
        definitions.of(definitions.ApiCounters).requests.labels(route(), method, str(response.status_code)).observe(
            monotonic() - g.began_s
        )
        return response

    # Made at the first scrape: only then does the process know whether it shares its counts.
    app.extensions["metrics"] = cache(
        lambda: registry_of(settings, COMPONENT, [_Broker(settings.cluster_name, app.extensions["probes"].broker)])
    )


@operation(blueprint, "/metrics", BaseModel, Query, scope=None, media=("text/plain",))
def show_own_metrics(_: Query) -> Response:
    """The API's own metrics, for Prometheus."""
    return Response(generate_latest(current_app.extensions["metrics"]()), content_type=CONTENT_TYPE_LATEST)
