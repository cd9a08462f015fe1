"""OpenTelemetry traces of batches across the broker: a span where a batch is published, one where it is stored.

Off unless TELEMETRY_TRACES says so; then the package is imported that the extra `otel` brings, and its own OTEL_* variables say
where spans go. A message carries the span it was published in as `traceparent`. A transaction has many parents, so it
begins a trace of its own that links to each of them. Which spans there are is up to the callers.
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
    """Traces are wanted, and what makes them is not installed."""


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
    """A span round what is done inside, which gets the headers that lead to it; none of them where traces are off."""
    return nullcontext({}) if _settings is None else _span(name, kind, parents, about)


@contextmanager
def _span(name: str, kind: Kind, parents: Iterable[str], about: Mapping[str, str | int]) -> Iterator[Mapping[str, str]]:
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    form = TraceContextTextMapPropagator()
    contexts = (trace.get_current_span(form.extract({HEADER: parent})).get_span_context() for parent in parents)
    links = [trace.Link(context) for context in contexts if context.is_valid]
    attributes = {f"telemetry.{key}": value for key, value in about.items()}
    tracer = _provider(os.getpid()).get_tracer("telemetry")
    with tracer.start_as_current_span(name, kind=trace.SpanKind[kind.upper()], links=links, attributes=attributes):
        headers: dict[str, str] = {}
        form.inject(headers)
        yield headers


@cache
def _provider(_pid: int) -> Any:
    """What makes and sends the spans of this process: a child that was forked has its own."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    assert _settings is not None, "spans are made where traces are on"  # noqa: S101
    name = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": f"telemetry-{_settings.role}"}
    made = TracerProvider(resource=Resource.create({**name, "service.namespace": _settings.cluster_name}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made


def _flush(**_: Any) -> None:
    if _settings is not None:
        _provider(os.getpid()).force_flush(5000)
