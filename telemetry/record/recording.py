"""Reads a source at an interval and appends to files. What fails is said once, and once when it works again: it is a gap."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from telemetry.record.files import Files, FullError
from telemetry.record.taken import SourceError, Taken, lines

log = logging.getLogger(__name__)


class Source(Protocol):
    """What readings are taken from. `may_be_empty`: that there are none at a time is no failure."""

    may_be_empty: bool

    def take(self) -> Iterable[Taken]:
        """All readings of now. Raises SourceError."""

    def close(self) -> None:
        """Let go of what is held open."""


@dataclass(slots=True)
class Recorded:
    """What was done: readings and turns that were written, and turns of which nothing was."""

    readings: int = 0
    turns: int = 0
    missed: int = 0


def record(
    source: Source,
    files: Files,
    interval_s: float,
    stopping: threading.Event,
    *,
    turns: int | None = None,
    adorn: Callable[[Iterable[Taken]], Iterable[Taken]] = lambda readings: readings,
) -> Recorded:
    """Record until `stopping` is set, or for so many turns. A turn that takes longer than the interval delays the next."""
    done = Recorded()
    trouble, failed = "", 0
    next_s = time.monotonic()
    while not stopping.wait(max(0.0, next_s - time.monotonic())):
        try:
            now_s = time.time()
            # Where a value is no number, there was none.
            readings = [one for one in adorn(source.take()) if math.isfinite(one.value)]
            if not readings and not source.may_be_empty:
                raise SourceError("there are no readings of a GPU")  # noqa: TRY301 - the same as an endpoint that is away
            if readings:
                files.append(lines(readings, now_s))
        except (SourceError, FullError) as error:
            if stopping.is_set():
                # A turn that was cut off by the end is not one that failed.
                break
            done.missed, failed = done.missed + 1, failed + 1
            if str(error) != trouble:
                trouble = str(error)
                again_s = max(interval_s, error.again_s) if isinstance(error, SourceError) else interval_s
                log.error("nothing is recorded: %s; it is tried again every %g s", trouble, again_s)  # noqa: TRY400
        else:
            done.readings, done.turns = done.readings + len(readings), done.turns + 1
            if trouble:
                log.warning("recording again, after %d turns without", failed)
                trouble, failed = "", 0
        if turns is not None and done.turns + done.missed >= turns:
            break
        # Turns that were missed, as by a machine that slept, are not made up for.
        next_s = max(next_s + interval_s, time.monotonic())
    return done
