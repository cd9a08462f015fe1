"""The spool directory: where a file that was sent becomes a source. A streamer of the edge `central/uploads` reads it.

A file appears under its name whole and safe on disk, or not at all: it is written under another name, synced, and renamed.
"""

from __future__ import annotations

import errno
import os
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from telemetry.api.core.problems import ProblemError
from telemetry.formats.heads import Head, identify, needed_bytes
from telemetry.settings import Settings

EDGE = "central/uploads"
PIECE_BYTES = 1 << 18
GZIP = b"\x1f\x8b"
# With a gzip header, whatever the window.
GZIP_WINDOW = 31
# How much of an upload is written between two looks at what all of them take.
LOOK_BYTES = 8 << 20
UNFINISHED = ".part"
UNFINISHED_S = 86_400
FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file that waits to get its name: its records are bytes [start, size)."""

    waiting: Path
    path: Path
    fingerprint: str
    start: int
    size: int

    def publish(self) -> None:
        """Give it its name: from now on the streamer sees it."""
        self.waiting.rename(self.path)
        _sync(self.path.parent)

    def discard(self) -> None:
        """Let it go."""
        self.waiting.unlink(missing_ok=True)


def write(pieces: Iterable[bytes], name: str, settings: Settings) -> Spooled:
    """Write what comes in pieces, unpacked, to the spool directory. Raises ProblemError for what cannot be taken."""
    directory = settings.spool_dir.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    waiting = directory / f".{name}{UNFINISHED}"
    try:
        with waiting.open("wb") as file:
            size = _copy(pieces, file, settings)
            file.flush()
            os.fsync(file.fileno())
            # All of it is on disk: of uploads that come together the last to look sees all the others.
            _room(directory, settings)
        head = _head(waiting, size, settings.max_record_bytes)
        return Spooled(waiting, path(name, settings), head.fingerprint, head.end, size)
    except BaseException as error:
        waiting.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise _full() from None
        raise


def path(name: str, settings: Settings) -> Path:
    """Where a file is once it has its name; also the path of the source."""
    return settings.spool_dir.absolute() / name


def used(directory: Path) -> int:
    """Bytes of all files in the directory; what an upload left that never ended is removed after a day."""
    total = 0
    for entry in os.scandir(directory):
        # One that another upload has just renamed is gone from here.
        with suppress(FileNotFoundError):
            status = entry.stat()
            if entry.name.endswith(UNFINISHED) and status.st_mtime < time.time() - UNFINISHED_S:
                Path(entry).unlink()
            else:
                total += status.st_size
    return total


def _copy(pieces: Iterable[bytes], file: IO[bytes], settings: Settings) -> int:
    size, last, most = 0, b"\n", settings.upload_max_bytes
    looked, room = -LOOK_BYTES, 0
    for piece in _unpacked(_begun(iter(pieces))):
        # What others write at the same time counts too.
        if size - looked >= LOOK_BYTES:
            file.flush()
            room, looked = _room(Path(file.name).parent, settings), size
        size += len(piece)
        if size > most:
            raise ProblemError("upload_too_large", f"an upload may have {most} bytes, unpacked; send it in parts")
        if size - looked > room:
            raise _full()
        file.write(piece)
        last = piece[-1:]
    # A line without an end would wait for the rest of it.
    return size + (file.write(b"\n") if last != b"\n" else 0)


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, none empty, the first of them long enough to tell gzip."""
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= len(GZIP):
            break
    if first:
        yield first
    yield from filter(None, pieces)


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces; gzip, which the first bytes tell, is unpacked, member by member."""
    piece = next(pieces, b"")
    if not piece.startswith(GZIP):
        if piece:
            yield piece
        yield from pieces
        return
    packed = zlib.decompressobj(GZIP_WINDOW)
    try:
        while piece:
            # So much at a time, whatever it swells to.
            if unpacked := packed.decompress(piece, PIECE_BYTES):
                yield unpacked
            piece = packed.unconsumed_tail or packed.unused_data or next(pieces, b"")
            if packed.eof and piece:
                packed = zlib.decompressobj(GZIP_WINDOW)
    except zlib.error as error:
        raise ProblemError("unreadable_upload", f"this is no gzip: {error}") from None
    if not packed.eof:
        raise ProblemError("unreadable_upload", "the gzip ends before its end; send all of it")


def _head(path: Path, size: int, max_record: int) -> Head:
    """The head of a file. What the streamer would wait for, or leave as foreign, is refused here."""
    wanted = needed_bytes(max_record)
    with path.open("rb") as file:
        head = identify(file.read(wanted), max_record=max_record, final=size <= wanted)
    if head is None:
        raise ProblemError("unreadable_upload", "there is no row in this file: a header and at least one row are needed")
    if head.format is None:
        raise ProblemError("unreadable_upload", "the first line is no header this version knows; docs/RECORDS.md has them")
    return head


def _room(directory: Path, settings: Settings) -> int:
    """How many bytes more may be kept. Raises ProblemError where there are too many already."""
    left = settings.spool_max_bytes - used(directory)
    if left < 0:
        raise _full()
    return left


def _full() -> ProblemError:
    return ProblemError("spool_full", "the spool directory is full; try again when what is in it has been read and removed")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
