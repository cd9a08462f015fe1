"""The files of a recording: a new one after so many bytes or so long, the oldest removed where all are too large.

A name has the time at which its file begins and never changes, so that a streamer on the pattern `NAME-*.csv` reads each from
its beginning to its end. A line that could not be written whole is taken back: a reader sees whole lines only. One recording
has a directory: another is refused. Only files that were written here are removed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from telemetry.readings.dump import HEADER

log = logging.getLogger(__name__)


OWN = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.csv", re.ASCII)


class FullError(Exception):
    """Lines could not be written; the text says why."""


@dataclass(slots=True)
class Files:
    """Files `NAME-TIME.csv` in a directory, each of `file_bytes` and `file_s` at most, `keep_bytes` in all."""

    directory: Path
    name: str
    file_bytes: int
    file_s: float
    keep_bytes: int
    path: Path | None = None
    _lock: int = -1
    _descriptor: int = -1
    _size_bytes: int = 0
    _begun_s: float = field(default=0.0)

    def claim(self) -> None:
        """Make the directory, and keep other recordings from it. Raises FullError."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FullError(f"another recording writes to {self.directory}; give each a directory of its own") from None
        except OSError as error:
            raise FullError(f"{self.directory} cannot be used: {error.strerror}") from error

    def append(self, text: bytes) -> None:
        """Write whole lines. Raises FullError, and leaves no part of them."""
        is_over = time.monotonic() - self._begun_s > self.file_s or self._size_bytes + len(text) > self.file_bytes
        # What is written to a file that somebody removed, nobody reads.
        if self.path is None or is_over or not os.fstat(self._descriptor).st_nlink:
            self._begin()
            text = HEADER + text
        try:
            written = 0
            while written < len(text):
                written += os.write(self._descriptor, text[written:])
        except OSError as error:
            self._take_back()
            raise FullError(f"{self.path or self.directory} cannot be written: {error.strerror}") from error
        self._size_bytes += len(text)

    def close(self) -> None:
        """Close the file, and remove one that has no line."""
        if self.path is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            if not self._size_bytes:
                self.path.unlink(missing_ok=True)
            self.path = None

    def _begin(self) -> None:
        self.close()
        self._prune()
        at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self.directory / f"{self.name}-{at}.csv"
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise FullError(f"no file can be made in {self.directory}: {error.strerror}") from error
        self.path, self._size_bytes, self._begun_s = path, 0, time.monotonic()

    def _take_back(self) -> None:
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._size_bytes)
        if not self._size_bytes:
            self.close()

    def _prune(self) -> None:
        """Remove the oldest of our files until there is room for another. The clock may have been set back since."""
        ours: list[tuple[float, int, Path]] = []
        for path in self.directory.glob(f"{self.name}-*.csv"):
            with suppress(OSError):
                if OWN.fullmatch(path.name.removeprefix(f"{self.name}-")):
                    ours.append((path.stat().st_mtime, path.stat().st_size, path))
        excess_bytes = sum(size_bytes for _, size_bytes, _ in ours) + self.file_bytes - self.keep_bytes
        for _, size_bytes, path in sorted(ours):
            if excess_bytes <= 0:
                return
            with suppress(OSError):
                path.unlink()
                log.warning("removed %s, the oldest: all files together may have %d bytes", path, self.keep_bytes)
            excess_bytes -= size_bytes
