"""Where rows go: a new file, the end of an earlier one, or standard output. A file always ends with a whole line."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from datetime import datetime
from pathlib import Path

from telemetry.readings.dump import HEADER

# More than the longest row has.
TAIL_BYTES = 1 << 16


class OutputError(ValueError):
    """A file that cannot be written as the options say; the text names the mend."""


class Output:
    """An open output. `last` is the time of the last row an earlier run left in it, None for a new one."""

    def __init__(self, descriptor: int, last: datetime | None = None, *, header: bool = True) -> None:
        self.last = last
        self._descriptor = descriptor
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if header:
            self.write(HEADER)

    def write(self, lines: bytes) -> None:
        """Write whole lines. If that fails half way, a file is cut back to the lines before them."""
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            if self._regular and len(left) < len(lines):
                whole = os.fstat(self._descriptor).st_size - (len(lines) - len(left))
                os.ftruncate(self._descriptor, whole)
            raise

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def standard() -> Output:
    """Standard output, which stays open when this is closed."""
    return Output(os.dup(sys.stdout.fileno()))


def create(path: Path, *, force: bool) -> Output:
    """A new file. With `force` it replaces an old one; readers that have the old one open keep it. Raises OutputError."""
    if path.is_dir():
        raise OutputError(f"{path} is a directory")
    if path.exists() and not path.is_file():
        return Output(os.open(path, os.O_WRONLY))
    path = path.resolve()
    if path.exists():
        if not force:
            raise OutputError(f"{path} exists; give --force to replace it, or --follow to continue it")
        path.unlink()
    return Output(_locked(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL))


def resume(path: Path) -> Output:
    """The end of a file of the same format. A last line without its end, left by a killed run, is cut. Raises OutputError."""
    if not path.is_file() or path.stat().st_size == 0:
        return create(path, force=True)
    descriptor = _locked(path, os.O_RDWR | os.O_APPEND)
    size = os.fstat(descriptor).st_size
    if os.pread(descriptor, len(HEADER), 0) != HEADER:
        os.close(descriptor)
        raise OutputError(f"{path} does not have the header that simulate writes; give --force to replace it")
    tail = os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
    whole = tail[: tail.rfind(b"\n") + 1]
    os.ftruncate(descriptor, size - len(tail) + len(whole))
    last = whole.splitlines()[-1]
    if last + b"\n" == HEADER:
        return Output(descriptor, header=False)
    try:
        when = datetime.fromisoformat(last.split(b'"')[1].decode())
    except (ValueError, IndexError):
        os.close(descriptor)
        raise OutputError(f"{path} ends in a row without a time; give --force to replace it") from None
    return Output(descriptor, when, header=False)


def _locked(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OutputError(f"{path} is being written by another telemetry simulate; stop it, or choose another file") from None
    return descriptor
