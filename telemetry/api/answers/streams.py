"""Answers that last as long as their reader takes: a few at a time, and no longer than a reader has use for.

Each occupies a thread of the server. So a process carries few of them, whatever they hold, and the other threads are
left for what is answered at once; and a reader who takes nothing any more is let go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import BoundedSemaphore
from time import monotonic
from typing import cast

from flask import Flask, current_app, request

from telemetry.api.core.problems import ProblemError
from telemetry.settings import Settings

# A piece that a reader has not taken in this time will not be taken at all.
STALL_S = 60
# The longest export.
LASTS_S = 1800


class StreamEndedError(Exception):
    """A stream has lasted too long: the connection is broken off, so that nobody takes the half of it for the whole."""


def install(app: Flask, settings: Settings) -> None:
    """Give an application its places for streams."""
    app.extensions["streams"] = BoundedSemaphore(settings.api_streams)


def begin() -> Callable[[], None]:
    """Take a place, and keep its reader to the limit; what is returned gives the place back. Raises ProblemError."""
    places = cast("BoundedSemaphore", current_app.extensions["streams"])
    if not places.acquire(blocking=False):
        raise ProblemError("too_many_streams", "as many streams as this process carries are open; try again a little later")
    # The server's own socket has no limit: a reader who stands still would keep the thread for ever.
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        with suppress(OSError):
            connection.settimeout(STALL_S)
    return places.release


def lasting(pieces: Iterator[bytes], lasts_s: float = LASTS_S) -> Iterator[bytes]:
    """Pieces, until the longest stream is over. Raises StreamEndedError."""
    until = monotonic() + lasts_s
    for piece in pieces:
        yield piece
        if monotonic() > until:
            raise StreamEndedError(f"a stream was still under way after {lasts_s:g} s")
