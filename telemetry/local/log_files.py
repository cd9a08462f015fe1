"""Keeps all that the processes write: one file a process, bounded in size.

A file that is full becomes NAME.log.1, the one before it NAME.log.2, and so on up to KEPT; the oldest is removed.
"""

from __future__ import annotations

from pathlib import Path

FILE_BYTES = 5_000_000
KEPT = 3


class LogFiles:
    """The files of a directory, which is made if it is not there. Each is opened at its first line."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files: dict[str, LogFile] = {}

    def write(self, name: str, line: bytes) -> None:
        """Append a line of the process of this name. Raises OSError if it cannot be kept."""
        file = self._files.get(name)
        if file is None:
            # Lines name hosts, files and addresses: they are their owner's.
            self.directory.mkdir(mode=0o700, exist_ok=True)
            file = self._files[name] = LogFile(self.directory / f"{name}.log")
        file.write(line.rstrip(b"\n") + b"\n")

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
        self._files.clear()


class LogFile:
    """One file and the full ones before it. What is there already is continued."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._size_bytes = self._file.tell()

    def write(self, line: bytes) -> None:
        """Append a line, to a new file if this one would grow beyond its size. Raises OSError."""
        if self._size_bytes and self._size_bytes + len(line) > FILE_BYTES:
            self._turn_over()
        self._size_bytes += self._file.write(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _turn_over(self) -> None:
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{number}") for number in range(1, KEPT + 1))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)
        self._file.close()
        self._file = self._path.open("ab", buffering=0)
        self._size_bytes = 0
