"""A file that grows at a steady pace, as an exporter's does."""

from __future__ import annotations

import threading
import time
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import data

WRITES_A_SECOND = 10


class Feeder(threading.Thread):
    """While entered, copies rows of one file to another, so many a second; `rows` were written so far."""

    def __init__(self, source: data.File, path: Path, rows_per_s: int) -> None:
        super().__init__(daemon=True)
        self.rows = 0
        self._source = source
        self._path = path
        self._rows_per_s = rows_per_s
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.finish()

    def finish(self) -> None:
        """Stop writing."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Write until stopped, or until the rows are used up."""
        with self._source.path.open("rb") as source, self._path.open("wb", buffering=0) as grown:
            grown.write(source.readline())
            begun = time.monotonic()
            for write in range(self._source.rows * WRITES_A_SECOND // self._rows_per_s):
                lines = list(islice(source, self._rows_per_s // WRITES_A_SECOND))
                grown.write(b"".join(lines))
                self.rows += len(lines)
                if self._stopping.wait(max(0.0, begun + (write + 1) / WRITES_A_SECOND - time.monotonic())):
                    return
