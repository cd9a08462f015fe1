"""A source that is what a tool writes in its loop: which lines are readings, and when there are none.

The tool's own times count, as a line may have waited. It is asked for UTC; a time that this machine's clock is far from is
not believed. A GPU that a tool shows without a value is a gap, which is said once.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from pathlib import PurePath

from telemetry.record.taken import SourceError, Taken
from telemetry.record.tool import EndedError, Tool, shown

log = logging.getLogger(__name__)

# What a tool may need for its start, and for a turn, beyond the interval: with many GPUs and a driver that sleeps.
PATIENCE_S = 30.0
# A tool that fails at once is not started more often: its start is what costs.
REST_S = 10.0
# Less than any two time zones are apart.
NEAR_S = 300.0


class Looping(ABC):
    """A tool in its loop. `tool` is its name or path, `host` this machine's name."""

    may_be_empty = False

    def __init__(
        self,
        tool: str,
        host: str,
        interval_s: float,
        stopping: threading.Event,
        *,
        patience_s: float = PATIENCE_S,
        rest_s: float = REST_S,
    ) -> None:
        self.tool = tool
        self.host = host
        self.interval_s = interval_s
        self.process = Tool(interval_s + patience_s, stopping)
        self.rest_s = rest_s
        # Why it is not running, and until when it rests.
        self._trouble = SourceError()
        self._rests_until_s = 0.0
        # The last line that was neither a header nor a record, and what was said of each GPU.
        self._words = ""
        self._said: dict[str, str] = {}

    @abstractmethod
    def begin(self) -> list[str]:
        """The command that loops. What the output of one before it said of its columns is forgotten."""

    @abstractmethod
    def read(self, line: str) -> list[Taken] | None:
        """The readings of a record, none of a header or of a GPU that has none; None of a line that is neither.

        Raises SourceError if the line must not be believed.
        """

    def learns(self, words: str) -> bool:
        """Whether what the tool said before it ended makes another command of this one."""
        return False

    def take(self) -> list[Taken]:
        """The readings since the last call. Raises SourceError; a tool that is gone is started anew at a later call."""
        if not self.process.is_running and time.monotonic() < self._rests_until_s:
            raise self._trouble
        try:
            return self._take()
        except SourceError as error:
            self._trouble, error.again_s = error, self.rest_s
            raise

    def _take(self) -> list[Taken]:
        until = time.monotonic() + self.process.patience_s
        while True:
            if not self.process.is_running:
                self._words, self._rests_until_s = "", time.monotonic() + self.rest_s
                self.process.start(self.begin())
            try:
                lines = self.process.lines()
            except EndedError as error:
                if self.learns(self._words):
                    continue
                words = f": {self._words}" if self._words and ": " not in str(error) else ""
                raise SourceError(f"{error}{words}") from None
            readings = [reading for line in lines for reading in self._of(line)]
            if readings or not lines:
                return readings
            if time.monotonic() > until:
                self.close()
                raise SourceError(f"{PurePath(self.tool).name} has no reading for {self.process.patience_s:g} s: {self._words}")

    def close(self) -> None:
        """End the tool."""
        self.process.close()

    def say(self, gpu: str, trouble: str) -> None:
        """Say once why a GPU is left out, and again when that changes; no trouble says that it is there again."""
        if self._said.get(gpu, "") != trouble:
            self._said[gpu] = trouble
            if trouble:
                log.warning("GPU %s is left out: %s", gpu, shown(trouble))
            else:
                log.warning("GPU %s is read again", gpu)

    def _of(self, line: str) -> list[Taken]:
        readings = self.read(line)
        if readings is None:
            self._words = shown(line) or self._words
        return readings or []


def near(at: datetime | float, name: str) -> float:
    """A time of the tool's in seconds since 1970. Raises ValueError of none, SourceError of one that is not believed."""
    at_s = at.replace(tzinfo=UTC).timestamp() if isinstance(at, datetime) else at
    apart_s = at_s - time.time()
    if math.isnan(at_s):
        raise ValueError(at)
    if abs(apart_s) > NEAR_S:
        raise SourceError(f"the times of {name} are {apart_s:+.0f} s from this machine's clock, though it was asked for UTC")
    return at_s
