"""The spool directory, where an uploaded file becomes a source. A streamer of the edge `central/uploads` reads it.

A file appears under its name whole and safe on disk, or not at all: it is written under another name, synced, and renamed.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from telemetry.api.core.problems import ProblemError
from telemetry.api.intake.unpacking import unpacked
from telemetry.durable import sync
from telemetry.formats.heads import Head, identify, needed_bytes
from telemetry.readings.names import UPLOADS
from telemetry.settings import Settings

EDGE = UPLOADS
# How much of an upload is written between two looks at the size of the whole directory.
LOOK_BYTES = 8 << 20
UNFINISHED = ".part"
UNFINISHED_S = 86_400
FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file that is on disk but has not its name yet. Its records are bytes [start, size)."""

    waiting: Path
    path: Path
    fingerprint: str
    start: int
    size: int

    def publish(self) -> None:
        """Give the file its name. From now on the streamer sees it."""
        self.waiting.rename(self.path)
        sync(self.path.parent)

    def discard(self) -> None:
        """Remove the file."""
        self.waiting.unlink(missing_ok=True)


def write(pieces: Iterable[bytes], name: str, settings: Settings) -> Spooled:
    """Write a file that comes in pieces to the spool directory, unpacked. Raises ProblemError for one that is refused."""
    directory = settings.spool_dir.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    waiting = directory / f".{name}{UNFINISHED}"
    try:
        with waiting.open("wb") as file:
            size = _copy(pieces, file, settings)
            file.flush()
            os.fsync(file.fileno())
            # The file is on disk now. So of uploads that come together the last one sees all the others here.
            _room_bytes(directory, settings)
        head = _head(waiting, size, settings)
        return Spooled(waiting, path(name, settings), head.fingerprint, head.end, size)
    except BaseException as error:
        waiting.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise _full() from None
        raise


def path(name: str, settings: Settings) -> Path:
    """Where a file is once it has its name. It is the path of the source too."""
    return settings.spool_dir.absolute() / name


def _used_bytes(directory: Path) -> int:
    """The size of all files in the directory. Files of uploads that broke off more than a day ago are removed."""
    total = 0
    for entry in os.scandir(directory):
        # Another upload may rename its file meanwhile.
        with suppress(FileNotFoundError):
            status = entry.stat()
            if entry.name.endswith(UNFINISHED) and status.st_mtime < time.time() - UNFINISHED_S:
                Path(entry).unlink()
            else:
                total += status.st_size
    return total


def _copy(pieces: Iterable[bytes], file: IO[bytes], settings: Settings) -> int:
    """Write the pieces, unpacked. Returns the size in bytes."""
    size, last, limit = 0, b"\n", settings.upload_max_bytes
    looked, room = -LOOK_BYTES, 0
    for piece in unpacked(pieces):
        # Other uploads are written at the same time and count too.
        if size - looked >= LOOK_BYTES:
            file.flush()
            room, looked = _room_bytes(Path(file.name).parent, settings), size
        size += len(piece)
        if size > limit:
            raise ProblemError("upload_too_large", f"an upload may have at most {limit} bytes, unpacked; send it in parts")
        if size - looked > room:
            raise _full()
        file.write(piece)
        last = piece[-1:]
    # The streamer would wait for the rest of a line without an end.
    return size + (file.write(b"\n") if last != b"\n" else 0)


def _head(path: Path, size: int, settings: Settings) -> Head:
    """The head of a file. Raises ProblemError for a file that the streamer would wait for, or leave as foreign."""
    head_bytes, said = needed_bytes(settings.max_record_bytes), settings.of_source(str(path))
    with path.open("rb") as file:
        data = file.read(head_bytes)
    head = identify(data, max_record=settings.max_record_bytes, final=size <= head_bytes, settings=said)
    if head is None:
        raise ProblemError("unreadable_upload", "this file has no row; send a header and at least one row")
    if head.format is None:
        raise ProblemError("unreadable_upload", f"this file is not read: {head.miss}; docs/RECORDS.md has the formats")
    return head


def _room_bytes(directory: Path, settings: Settings) -> int:
    """How many bytes more fit. Raises ProblemError if there are too many already."""
    left = settings.spool_max_bytes - _used_bytes(directory)
    if left < 0:
        raise _full()
    return left


def _full() -> ProblemError:
    detail = "the spool directory is full; try again once the files in it are read and removed"
    return ProblemError("spool_full", detail)
