"""Streams: answers that are sent piece by piece. Each process carries a bounded number at once, each for a limited time.

A stream occupies a thread of the server until its reader has taken it all. The bound leaves threads for short answers. A reader
who takes nothing for a while is disconnected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from time import monotonic
from typing import cast

from flask import Flask, Response, current_app, request

from telemetry.api.core import deadlines
from telemetry.api.core.problems import ProblemError
from telemetry.settings import Settings


class StreamEndedError(Exception):
    """A stream lasted too long. The connection is broken off, so that the reader cannot take half of it for the whole."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer in pieces. `close` is called at its end, also when nobody asked for the first piece."""

    pieces: Iterator[bytes]
    media: str
    headers: Mapping[str, str] = field(default_factory=dict)
    close: Callable[[], object] | None = None


def install(app: Flask, settings: Settings) -> None:
    """Give an application its places for streams."""
    app.extensions["streams"] = BoundedSemaphore(settings.api_streams)


def take_place() -> BoundedSemaphore:
    """A place that whoever takes it releases. Raises ProblemError if there is no free one."""
    places = cast("BoundedSemaphore", current_app.extensions["streams"])
    if not places.acquire(blocking=False):
        raise ProblemError(
            "too_many_streams", "this process has as many streams open as it can carry; try again a little later"
        )
    return places


def limit_pauses() -> None:
    """Let the client of this request pause for STALL_S at most.

    The server's own socket has no time limit, so a client who stands still would keep the thread for ever.
    """
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        with suppress(OSError):
            connection.settimeout(deadlines.STALL_S)


def response(stream: Stream) -> Response:
    """The answer of a stream, which holds a place until it is closed. Raises ProblemError if there is no free place."""
    places = take_place()
    limit_pauses()
    answer = Response(stream.pieces, mimetype=stream.media, headers=dict(stream.headers))
    if stream.close is not None:
        answer.call_on_close(stream.close)
    answer.call_on_close(places.release)
    return answer


def limited(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, for EXPORT_S at most. Raises StreamEndedError."""
    until = monotonic() + deadlines.EXPORT_S
    for piece in pieces:
        yield piece
        if monotonic() > until:
            raise StreamEndedError(f"a stream was still open after {deadlines.EXPORT_S:g} s")
