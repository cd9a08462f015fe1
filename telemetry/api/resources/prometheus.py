"""`POST /prometheus/read`: Prometheus' remote read, by which it answers PromQL over all that is stored here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import psycopg
from flask import Blueprint, Response, g, request
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from telemetry.api.answers import prometheus_wire, streams
from telemetry.api.answers.prometheus_wire import ReadQuery, WireError
from telemetry.api.core.connections import connections
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Query
from telemetry.api.operations import operation
from telemetry.store.read.history import exposed
from telemetry.store.read.history.exposed import Bounds, Labels, Points, TooManyError
from telemetry.store.read.history.selection import Span
from telemetry.store.sealed_rows import time_of

MEDIA = "application/x-protobuf"
# Of a request, as it was sent and as it is unpacked. One of Prometheus has a few hundred bytes.
MOST_BYTES = 1 << 20
MOST_QUERIES, MOST_MATCHERS = 20, 100
# Of a query, and of the answers to all queries of a request. A sample takes 100 bytes of memory until the answer is sent.
BOUNDS = Bounds(series=10_000, sets=50_000, samples=1_000_000, windows=200_000)
FUNCTION_OF_LABELS = "series"
# What Prometheus asks for where somebody leaves an end open lies far outside of what Python and Postgres have.
FIRST, LAST = datetime.fromisoformat("1970-01-01T00:00:00Z"), datetime.fromisoformat("2200-01-01T00:00:00Z")
BODY = {
    "required": True,
    "description": "a prometheus.ReadRequest, compressed by snappy",
    "content": {MEDIA: {"schema": {"type": "string", "format": "binary"}}},
}

blueprint = Blueprint("prometheus", __name__)


@operation(
    blueprint,
    "/prometheus/read",
    BaseModel,
    Query,
    method="POST",
    media=(MEDIA,),
    codes=("upload_too_large", "too_many_streams"),
    body=BODY,
)
def read_samples(_: Query) -> Response:
    """Series and samples for Prometheus' remote_read, under the labels of dcgm-exporter; docs/PROMETHEUS.md has the set-up."""
    request.max_content_length = MOST_BYTES
    place = streams.take_place()
    try:
        streams.limit_pauses()
        answer = prometheus_wire.written(_answers(_queries()))
    except ValueError as error:
        place.release()
        raise ProblemError("bad_request", str(error)) from None
    except BaseException:
        place.release()
        raise
    response = Response(answer, content_type=MEDIA, headers={"Content-Encoding": "snappy"})
    # Its reader may be slow.
    response.call_on_close(place.release)
    return response


def _queries() -> list[ReadQuery]:
    """The queries that were sent. Raises WireError."""
    queries = prometheus_wire.read(request.get_data(cache=False), MOST_BYTES)
    if len(queries) > MOST_QUERIES or any(len(query.matchers) > MOST_MATCHERS for query in queries):
        raise WireError(f"a request may have {MOST_QUERIES} queries, each of {MOST_MATCHERS} matchers")
    return queries


def _answers(queries: Sequence[ReadQuery]) -> list[dict[Labels, Points]]:
    """The answer to each query. Raises ProblemError if they are too much."""
    answers = list[dict[Labels, Points]]()
    try:
        for query in queries:
            answers.append(_answer(query))
            _check(answers)
    except TooManyError as error:
        detail = f"this request reads {error}; ask for a shorter time, or for fewer GPUs, such as by Hostname"
        raise ProblemError("query_too_large", detail) from None
    return answers


def _check(answers: Sequence[Mapping[Labels, Points]]) -> None:
    """See to it that answers are within BOUNDS together, as all are in memory at once. Raises TooManyError."""
    if sum(len(answer) for answer in answers) > BOUNDS.sets:
        raise TooManyError(BOUNDS.sets, "series of owners")
    if sum(len(points.ts_ms) for answer in answers for points in answer.values()) > BOUNDS.samples:
        raise TooManyError(BOUNDS.samples, "samples")


def _answer(query: ReadQuery) -> dict[Labels, Points]:
    """The answer to a query; by the primary, if the replica is found to be away."""
    g.reading = connections().reading
    try:
        return _read(query, g.reading)
    except (DBAPIError, psycopg.Error) as error:
        if not connections().left(error):
            raise
        g.reading = connections().engine
    return _read(query, g.reading)


def _read(query: ReadQuery, engine: Engine) -> dict[Labels, Points]:
    start, end = (_time(ms) for ms in (query.start_ms, query.end_ms))
    if start > end:
        return {}
    # Readings have microseconds, and Prometheus the millisecond that they lie in.
    span = Span(start, end + timedelta(microseconds=999))
    # A transaction of its own: what is sealed meanwhile is there once.
    with engine.connect() as connection:
        chosen = exposed.matched(connection, query.matchers, span, BOUNDS)
        return exposed.read(connection, chosen, span, BOUNDS, first=query.function == FUNCTION_OF_LABELS)


def _time(ms: int) -> datetime:
    first, last = (int(end.timestamp()) * 1000 for end in (FIRST, LAST))
    return time_of(1000 * min(max(ms, first), last))
