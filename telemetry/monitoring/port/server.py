"""The port of a process: `/metrics` for Prometheus, `/live` and `/ready` for probes. Plain HTTP, answers from memory.

`/live` fails when the loop has stopped turning, and not because the broker or the database is away; `/ready` names what is
missing. This module owns the port; the functions that answer the probes are given by the process.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

import telemetry
from telemetry.monitoring.counters import definitions, shared, stations
from telemetry.monitoring.counters.merge_dead_children import MergedCounts
from telemetry.settings import Settings

Answer = tuple[bool, Mapping[str, Any]]


class PortError(RuntimeError):
    """The port cannot be opened; the text names the variable."""


class ProcessFacts:
    """What is running, and the latency of the last minute where batches are committed."""

    def __init__(self, cluster: str, component: str) -> None:
        self._cluster, self._component = cluster, component

    def collect(self) -> Iterator[Metric]:
        """For a registry of prometheus_client."""
        build = GaugeMetricFamily(
            "telemetry_build_info", "What is running; always 1.", labels=("version", "cluster", "component")
        )
        build.add_metric((telemetry.__version__, self._cluster, self._component), 1)
        yield build
        latency = GaugeMetricFamily(
            "cross_cluster_latency_seconds",
            "Median time from first publish to commit over the last minute, on the broker's clock; absent when nothing flowed.",
            labels=("source_cluster", "target_cluster"),
        )
        for source, seconds in stations.ring().medians().items():
            latency.add_metric((source, self._cluster), seconds)
        yield latency


def registry_of(settings: Settings, component: str, collectors: Iterable[Collector] = ()) -> CollectorRegistry:
    """All that a process shows: the counts of it and its children, what it is, and what `collectors` add."""
    registry = CollectorRegistry()
    directory = shared.directory()
    if directory is None:
        registry.register(definitions.registry)
    else:
        MergedCounts(registry, directory)
    registry.register(ProcessFacts(settings.cluster_name, component))
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


class _Server(ThreadingWSGIServer):
    """Takes IPv6 addresses too. Its threads are daemons, so they do not keep a process from ending."""

    @property
    def address_family(self) -> int:  # type: ignore[override]
        """By the address."""
        return socket.AF_INET6 if ":" in str(self.server_address[0]) else socket.AF_INET


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is wsgiref's
        """Log nothing: scrapes and probes come every few seconds."""


def serve(settings: Settings, registry: CollectorRegistry, live: Callable[[], Answer], ready: Callable[[], Answer]) -> int:
    """Open the port and answer in threads until the process ends. Returns the port. Raises PortError."""
    exposed = make_wsgi_app(registry)
    probes = {"/live": live, "/ready": ready}

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = exposed(environ, start_response)
            return answer
        is_ok, document = probes[path]() if path in probes else (False, {"resources": ["/metrics", *probes]})
        status = HTTPStatus.OK if is_ok else HTTPStatus.SERVICE_UNAVAILABLE if path in probes else HTTPStatus.NOT_FOUND
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [json.dumps(document).encode()]

    try:
        server = make_server(settings.metrics_host, settings.metrics_port, app, _Server, _Quiet)
    except OSError as error:
        where = f"{settings.metrics_host}:{settings.metrics_port}"
        raise PortError(f"TELEMETRY_METRICS_PORT: {where} cannot be opened: {error.strerror or error}") from None
    # A child that outlives this process must not keep the port from its successor.
    os.register_at_fork(after_in_child=server.socket.close)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_port)
