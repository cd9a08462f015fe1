"""The content of an open file: its own bytes, or what it is packed of.

A packed file is unpacked into a file without a name in the temporary directory (TMPDIR), so that any part of it can be read
again; offsets are those of its content. Its first bytes are had without that. Nothing of it is handed on before all of it was
unpacked and found sound. How many are unpacked at a time, and which are damaged, is known to the `Bench` of a process.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from telemetry.streamer.packing import PIECE_BYTES, DamagedError, Unpacking, packing_of

# As much is unpacked in one step of a stream.
STEP_BYTES = 32 << 20
# As much is left free where files are unpacked.
SPARE_BYTES = 128 << 20
SCAN_BYTES = 1 << 20
NO_ROOM = "make room there, or set TMPDIR to a directory that has it"


class UnpackError(Exception):
    """A packed file that cannot be unpacked here and now; the text says why, and what mends it."""


class Version(NamedTuple):
    """What a file is known by as long as nobody writes to it: its size in bytes, and when it was written last."""

    size: int
    modified_ns: int


def version_of(fd: int) -> Version:
    """The version of an open file."""
    status = os.fstat(fd)
    return Version(status.st_size, status.st_mtime_ns)


@dataclass(slots=True)
class Bench:
    """Where one process unpacks: one file after the other if there is a `limit`, and keeps the content of so many.

    For `quiet_s` a packed file is left alone after it was touched: its writer may be at it, and the file that it is made of may
    still be there.
    """

    quiet_s: float = 0.0
    limit: int | None = None
    in_use: int = 0
    at_work: int = 0
    _damaged: dict[tuple[int, Version], str] = field(default_factory=dict)

    def damage(self, fd: int) -> str:
        """What is wrong with an open file, as far as it was found out before; empty for nothing."""
        return self._damaged.get((os.fstat(fd).st_ino, version_of(fd)), "")

    def note_damage(self, fd: int, text: str) -> None:
        """Remember what is wrong with an open file."""
        self._damaged[os.fstat(fd).st_ino, version_of(fd)] = text

    @property
    def is_full(self) -> bool:
        """Whether another file must wait: there is no more room, or one is unpacked, which may take much memory."""
        return self.limit is not None and (self.in_use >= self.limit or self.at_work > 0)


class Plain:
    """The content of a file that is not packed."""

    is_packed = False
    is_ready = True

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def size(self) -> int:
        """Bytes of content now."""
        return os.fstat(self._fd).st_size

    def size_at(self, file_bytes: int) -> int:
        """Bytes of content when the file had this size."""
        return file_bytes

    def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`; fewer at the end."""
        return _read(self._fd, start, length)

    def descriptor(self) -> int:
        """The open file that its bytes stand in."""
        return self._fd

    def close(self) -> None:
        """Nothing is held beside the file."""


class Unpacked:
    """The content of a packed file. `head` are its first bytes, `bench` is where it is unpacked."""

    is_packed = True

    def __init__(self, fd: int, packing: str, head_bytes: int, bench: Bench) -> None:
        self._fd, self._packing, self._bench = fd, packing, bench
        self._spool: IO[bytes] | None = None
        self._unpacking: Unpacking | None = None
        self._size: int | None = None
        with self._noting_damage():
            begun = Unpacking(fd, packing)
            parts = []
            while (left := head_bytes - begun.done_bytes) > 0 and (part := begun.read(left)):
                parts.append(part)
        self._head = b"".join(parts)
        if len(self._head) < head_bytes:
            self._size = len(self._head)

    @property
    def is_ready(self) -> bool:
        """Whether any part of it can be read at once, or all of it is known to be read."""
        return self._size is not None

    def size(self) -> int:
        """Bytes of content. As long as that is not known: what is sure to be there, and one more."""
        return self._size if self._size is not None else len(self._head) + 1

    def size_at(self, file_bytes: int) -> int:
        """Bytes of content: a packed file that changed is opened anew."""
        return self.size()

    @property
    def is_settled(self) -> bool:
        """Whether all of it was read, and its bytes are no longer at hand."""
        return self._size is not None and self._spool is None and self._size > len(self._head)

    def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`; fewer at the end. Unpacks all of the file if that is needed."""
        if start + length <= len(self._head) or self._size == len(self._head):
            return self._head[start : start + length]
        if self._spool is None or self._size is None:
            self.complete()
        assert self._spool is not None, "it is complete now"  # noqa: S101
        return _read(self._spool.fileno(), start, length)

    def step(self, *, waits: bool = True) -> bool:
        """Unpack a part of it. Says if anything was done: no, if it waits for others. Raises DamagedError and UnpackError."""
        if self._spool is None:
            if waits and self._bench.is_full:
                return False
            self._size = None
            self._spool = tempfile.TemporaryFile(prefix="telemetry-unpacked-", buffering=0)  # noqa: SIM115 - closed by `close`
            self._bench.in_use += 1
            self._bench.at_work += 1
            self._unpacking = Unpacking(self._fd, self._packing)
        assert self._unpacking is not None, "it is set with the spool"  # noqa: S101
        with self._noting_damage():
            until = self._unpacking.done_bytes + STEP_BYTES
            while self._unpacking.done_bytes < until:
                part = self._unpacking.read(PIECE_BYTES)
                if not part:
                    self._size = self._unpacking.done_bytes
                    self._end()
                    return True
                self._keep(part)
        return True

    def complete(self) -> None:
        """Unpack all of it now, whoever else is at it. Raises DamagedError and UnpackError."""
        if self._size is not None and (self._spool is not None or self._size == len(self._head)):
            return
        self._size = None
        while self._size is None:
            self.step(waits=False)

    def descriptor(self) -> int | None:
        """The open file that its bytes stand in, None unless all are unpacked."""
        return self._spool.fileno() if self._spool and self._size is not None else None

    def settle(self, size: int | None = None) -> None:
        """Let the unpacked bytes go: all of them are read. `size` is how many they were, where that is known from before."""
        self._size = self.size() if size is None else size
        self.close()

    def close(self) -> None:
        """Let the unpacked bytes go."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None
            self._bench.in_use -= 1
        self._end()

    def _end(self) -> None:
        if self._unpacking is not None:
            self._unpacking = None
            self._bench.at_work -= 1

    def _keep(self, part: bytes) -> None:
        assert self._spool is not None, "what is unpacked has a place"  # noqa: S101
        try:
            has_room = shutil.disk_usage(tempfile.gettempdir()).free >= SPARE_BYTES + len(part)
            view = memoryview(part if has_room else b"")
            while view:
                view = view[self._spool.write(view) :]
        except OSError as error:
            self.close()
            raise UnpackError(f"it cannot be unpacked in {tempfile.gettempdir()}: {error.strerror}; {NO_ROOM}") from None
        if not has_room:
            self.close()
            raise UnpackError(f"there is no room to unpack it in {tempfile.gettempdir()}; {NO_ROOM}")

    @contextmanager
    def _noting_damage(self) -> Iterator[None]:
        """Damage found inside is remembered, and nothing of the file is kept."""
        try:
            yield
        except DamagedError as error:
            self._bench.note_damage(self._fd, str(error))
            self.close()
            raise


def content_of(fd: int, head_bytes: int, bench: Bench, *, final: bool, whole: bool) -> tuple[Plain | Unpacked, str] | None:
    """The content of an open file, and what is wrong with it; None of a packed file that may still be written.

    Of a damaged one it is what stands in the file.
    """
    packing = packing_of(fd)
    damage = packing and bench.damage(fd)
    if not packing or damage:
        return Plain(fd), damage
    if not final and time.time_ns() - os.fstat(fd).st_ctime_ns < bench.quiet_s * 1e9:
        return None
    try:
        content = Unpacked(fd, packing, head_bytes, bench)
        if whole:
            content.complete()
    except DamagedError as error:
        return Plain(fd), str(error)
    return content, ""


def is_whole(path: Path) -> bool:
    """Whether a file is packed, and can be unpacked to its end. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        packing = packing_of(fd)
        unpacking = Unpacking(fd, packing) if packing else None
        while unpacking and unpacking.read(PIECE_BYTES):
            pass
    except DamagedError:
        return False
    else:
        return bool(packing)
    finally:
        os.close(fd)


def _read(fd: int, start: int, length: int) -> bytes:
    parts = []
    while length > 0:
        part = os.pread(fd, length, start) or _end(fd, length, start)
        if not part:
            break
        parts.append(part)
        start, length = start + len(part), length - len(part)
    return b"".join(parts)


def _end(fd: int, length: int, start: int) -> bytes:
    """What stands where a read found the end of a file: nothing, or what was appended meanwhile.

    Raises OSError if the file is larger than that. A disk that fails may say so, and nothing has changed by that.
    """
    if os.fstat(fd).st_size <= start:
        return b""
    part = os.pread(fd, length, start)
    if not part and os.fstat(fd).st_size > start:
        raise OSError(errno.EIO, "it ends before its size")
    return part


def leading_nuls(read: Callable[[int, int], bytes]) -> int:
    """How many NULs content begins with, read by offset and length."""
    at = 0
    while part := read(at, SCAN_BYTES if at else 1):
        rest = part.lstrip(b"\0")
        at += len(part) - len(rest)
        if rest:
            return at
    return at
