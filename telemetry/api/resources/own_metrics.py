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

from telemetry.api.core.probes import Probes
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


class _Brokers:
    """Asks the brokers at each scrape, because the API's processes have no thread that asks them regularly."""

    def __init__(self, cluster: str, probes: Probes) -> None:
        self._cluster, self._probes = cluster, probes

    def collect(self) -> Iterator[Metric]:
        """Whether all brokers answer, for a registry of prometheus_client."""
        answered = all(state["status"] == "ok" for state in self._probes.of_brokers().values())
        yield status_metric(self._cluster, COMPONENT, answered)


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
        lambda: registry_of(settings, COMPONENT, [_Brokers(settings.cluster_name, app.extensions["probes"])])
    )


@operation(blueprint, "/metrics", BaseModel, Query, scope=None, media=("text/plain",))
def show_own_metrics(_: Query) -> Response:
    """The API's own metrics, for Prometheus."""
    return Response(generate_latest(current_app.extensions["metrics"]()), content_type=CONTENT_TYPE_LATEST)
