"""OpenTelemetry traces of batches across the broker: a span where a batch is published, one where it is stored.

Traces are off unless TELEMETRY_TRACES turns them on. Only then OpenTelemetry is imported, which the extra `otel` installs. Its
OTEL_* variables say where spans go. A message carries the span it was published in as `traceparent`. A transaction has many
parents, so it begins a trace of its own that links to each of them. Callers decide which spans there are.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, Literal

from celery import signals

from telemetry.settings import Settings

HEADER = "traceparent"
Kind = Literal["producer", "consumer", "client"]

_settings: Settings | None = None


class MissingError(RuntimeError):
    """Traces are turned on, and OpenTelemetry is not installed."""


def install(settings: Settings) -> None:
    """Trace what this process does, if the settings say so. Raises MissingError."""
    global _settings  # noqa: PLW0603 - a process has one tracer, as it has one registry of metrics
    _settings = settings if settings.traces else None
    if not settings.traces:
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401, PLC0415 - only where it is wanted
    except ImportError:
        raise MissingError("TELEMETRY_TRACES is on, but OpenTelemetry is not installed: telemetry-pipeline[otel]") from None
    signals.worker_process_shutdown.connect(_flush, weak=False, dispatch_uid="telemetry.traces")
    atexit.register(_flush)


def span(
    name: str, kind: Kind = "client", *, parents: Iterable[str] = (), **about: str | int
) -> AbstractContextManager[Mapping[str, str]]:
    """A span around the code inside, which gets the headers that lead to the span; no headers where traces are off."""
    return nullcontext({}) if _settings is None else _span(name, kind, parents, about)


@contextmanager
def _span(name: str, kind: Kind, parents: Iterable[str], about: Mapping[str, str | int]) -> Iterator[Mapping[str, str]]:
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    propagator = TraceContextTextMapPropagator()
    contexts = (trace.get_current_span(propagator.extract({HEADER: parent})).get_span_context() for parent in parents)
    links = [trace.Link(context) for context in contexts if context.is_valid]
    attributes = {f"telemetry.{key}": value for key, value in about.items()}
    tracer = _provider(os.getpid()).get_tracer("telemetry")
    with tracer.start_as_current_span(name, kind=trace.SpanKind[kind.upper()], links=links, attributes=attributes):
        headers: dict[str, str] = {}
        propagator.inject(headers)
        yield headers


@cache
def _provider(_pid: int) -> Any:
    """The provider that makes and sends the spans of this process; a forked child has its own."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    assert _settings is not None, "spans are made only where traces are on"  # noqa: S101
    name = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": f"telemetry-{_settings.role}"}
    provider = TracerProvider(resource=Resource.create({**name, "service.namespace": _settings.cluster_name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _flush(**_: Any) -> None:
    if _settings is not None:
        _provider(os.getpid()).force_flush(5000)
