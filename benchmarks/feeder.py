"""A file that grows as an exporter's does: by some rows at once, or at a steady pace."""

from __future__ import annotations

import threading
import time
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from benchmarks import data

WRITES_A_SECOND = 10
ROWS_A_WRITE = 10_000


class Growing:
    """A file that gets the rows of another in order; `rows` were written so far."""

    def __init__(self, source: data.File, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._source: IO[bytes] = source.path.open("rb")
        self._grown = path.open("wb", buffering=0)
        self._grown.write(self._source.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._source.close()
        self._grown.close()

    def write(self, rows: int) -> bool:
        """Write so many rows. Says whether there were any."""
        remainder = rows
        while remainder > 0 and (lines := list(islice(self._source, min(remainder, ROWS_A_WRITE)))):
            self._grown.write(b"".join(lines))
            self.rows += len(lines)
            remainder -= len(lines)
        return remainder < rows


class Feeder(threading.Thread):
    """While entered, lets a file grow by so many rows a second."""

    def __init__(self, file: Growing, rows_per_s: int) -> None:
        super().__init__(daemon=True)
        self._file = file
        self._rows_per_s = rows_per_s
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Write until stopped, or until the rows are used up."""
        due_s = time.monotonic()
        while self._file.write(self._rows_per_s // WRITES_A_SECOND):
            due_s += 1 / WRITES_A_SECOND
            if self._stopping.wait(max(0.0, due_s - time.monotonic())):
                return
