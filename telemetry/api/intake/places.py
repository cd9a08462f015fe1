"""Places for uploads: a process takes a bounded number at once, as each occupies a thread until all of it has come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import cast

from flask import Flask, current_app

from telemetry.api.core.problems import ProblemError
from telemetry.settings import Settings


def install(app: Flask, settings: Settings) -> None:
    """Give an application its places for uploads."""
    app.extensions["uploads"] = BoundedSemaphore(settings.api_uploads)


@contextmanager
def place() -> Iterator[None]:
    """Hold a place for an upload. Raises ProblemError if there is no free one."""
    places = cast("BoundedSemaphore", current_app.extensions["uploads"])
    if not places.acquire(blocking=False):
        raise ProblemError("too_many_uploads", "this process takes as many uploads as it can; send the file a little later")
    try:
        yield
    finally:
        places.release()
