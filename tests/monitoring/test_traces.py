"""Spans of a real edge and a real collector reach a receiver over HTTP, and the stored batch leads back to its publication."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.waiting import eventually

Spans = list[tuple[str, Any]]


@pytest.fixture
def received() -> Iterator[tuple[int, Spans]]:
    """The port of a receiver, and the spans it got, each with its service."""
    found: Spans = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
                (service,) = (each.value.string_value for each in sent.resource.attributes if each.key == "service.name")
                found.extend((service, span) for scope in sent.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, found
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_batch_is_traced_across_the_broker(
    start_collector: Callable[..., Any], telemetry: Callable[..., Any], tmp_path: Path, received: tuple[int, Spans]
) -> None:
    sample = tmp_path / "sample.csv"
    telemetry("simulate", "--hosts", "1", "--gpus", "1", "--interval", "5", "--duration", "30", "-o", sample)
    port, spans = received
    told = {
        "TELEMETRY_TRACES": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        # A probe would be a publication without a transaction.
        "TELEMETRY_REPUBLISH_AFTER_S": "30",
    }
    start_collector(**told)
    done = telemetry("ingest", "--batch-size", "20", "--timeout", "30", sample, **told, OTEL_SERVICE_NAME="edge-of-test")
    assert done.returncode == 0, done.stderr

    def named(service: str, name: str) -> list[Any]:
        return [span for by, span in list(spans) if (by, span.name) == (service, name)]

    published = named("edge-of-test", "publish batch")
    assert len(published) > 1, "all are sent before the command ends"
    (edge,) = {each.value.string_value for span in published for each in span.attributes if each.key == "telemetry.edge"}
    assert edge == "ingest/node"

    def linked() -> bool:
        leads = {(link.trace_id, link.span_id) for span in named("telemetry-central", "persist batches") for link in span.links}
        return leads == {(span.trace_id, span.span_id) for span in published}

    eventually(linked, 15, what="each publication is linked to")
    persists = {span.span_id for span in named("telemetry-central", "persist batches")}
    for step in ("transaction", "acknowledge"):
        assert {span.parent_span_id for span in named("telemetry-central", step)} == persists


def test_without_the_package_it_is_one_line_and_off_imports_nothing() -> None:
    program = """
import sys
{block}
from telemetry.celery import make_app
from telemetry.settings import Settings
make_app(Settings.load({{"TELEMETRY_TRACES": "{on}"}}))
print(sorted(name for name in sys.modules if name.startswith("opentelemetry.exporter")))
"""
    missing = program.format(block='sys.modules["opentelemetry"] = None', on="true")
    done = subprocess.run([sys.executable, "-c", missing], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "telemetry-pipeline[otel]" in done.stderr
    off = subprocess.run(
        [sys.executable, "-c", program.format(block="", on="false")], capture_output=True, text=True, check=True
    )
    assert off.stdout == "[]\n"
