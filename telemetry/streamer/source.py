"""Reads one CSV file: its head, blocks of it, where a long line ends, and whether bytes already read are still there.

A file is read through the descriptor it was opened with, so one that is renamed or deleted meanwhile is read on. Of a packed
file all offsets are those of its content (`contents`).
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from telemetry.formats.base import Format
from telemetry.formats.days import Midnights
from telemetry.formats.headers import header_in
from telemetry.formats.heads import Head, identify, needed_bytes
from telemetry.progress.state import Inode, Prefix
from telemetry.readings.digests import digest
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.streamer.contents import SCAN_BYTES, Bench, Plain, Unpacked, Version, content_of, leading_nuls, version_of
from telemetry.streamer.utf16 import Utf16, decoded
from telemetry.streamer.writers import UNSURE, is_closed

Content = Plain | Unpacked | Utf16

PREFIX_BYTES = 4096


class Stamp(NamedTuple):
    """Size of a file in bytes, when its content changed, when anything of it did."""

    size: int
    modified_ns: int
    changed_ns: int


class Section(NamedTuple):
    """What stands behind a header: its format, None where nobody knows it, and what tells the header from the file's own."""

    format: Format | None
    mark: str


class SourceFile:
    """One open file with its head. `final` says that the file is closed: nothing will be appended."""

    def __init__(
        self,
        path: Path,
        fd: int,
        head: Head,
        *,
        final: bool,
        settings: SourceSettings = NO_SETTINGS,
        content: Content | None = None,
        packed: Unpacked | None = None,
        version: Version | None = None,
    ) -> None:
        self.path = path
        self.head = head
        self.final = final
        self.settings = settings
        self._fd = fd
        self._content = Plain(fd) if content is None else content
        self._packed = packed
        # Of a packed file, damaged or not.
        self.version = version
        self._sections = {0: Section(head.format, head.mark)}
        self._midnights = Midnights(head.nuls)
        self._head_digest = self._digest_of_head()
        self._seen = self.stamp()
        self._since_s = time.monotonic()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        max_record: int,
        final: bool,
        settings: SourceSettings = NO_SETTINGS,
        inherited: bytes = b"",
        bench: Bench | None = None,
        whole: bool = False,
    ) -> SourceFile | None:
        """Open a file and read its head; None if it does not hold a whole record yet, or is packed a moment ago.

        A packed file is unpacked on the `bench` when its content is asked for, or here if it must be `whole`, as without a
        bench. One that is damaged is foreign. `inherited` is the header of the file before it at this path: see
        `heads.identify`. Raises OSError and UnpackError.
        """
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        content: Content | None = None
        try:
            opened = content_of(fd, needed_bytes(max_record), bench or Bench(), final=final, whole=whole or bench is None)
            if opened is None:
                os.close(fd)
                return None
            held, damage = opened
            content = decoded(held)
            final = final or content.is_packed or bool(damage)
            head = _head(content, max_record, settings, inherited, final=final)
        except BaseException:
            if content is not None:
                content.close()
            os.close(fd)
            raise
        if head is None:
            content.close()
            os.close(fd)
            return None
        head = replace(head, miss=damage) if damage else head
        packed = held if isinstance(held, Unpacked) else None
        version = version_of(fd) if packed or damage else None
        return cls(path, fd, head, final=final, settings=settings, content=content, packed=packed, version=version)

    @classmethod
    def gone(cls, path: Path, fingerprint: str) -> SourceFile:
        """A file that is not there any more: its name, and no bytes."""
        return cls(path, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), Head(None, 0, 0, 0, fingerprint), final=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        self._content.close()
        os.close(self._fd)

    def size(self) -> int:
        """Bytes of content now; of a packed file that is not `is_ready` fewer than there are."""
        return self._content.size()

    def size_at(self, stamp: Stamp) -> int:
        """Bytes of content when the file had this stamp."""
        return self._content.size_at(stamp.size)

    @property
    def is_packed(self) -> bool:
        """Whether the file is packed, and sound as far as that is known."""
        return self._content.is_packed

    @property
    def is_plain(self) -> bool:
        """Whether its content is the bytes of the file."""
        return isinstance(self._content, Plain)

    @property
    def is_ready(self) -> bool:
        """Whether its content can be read at once."""
        return self._content.is_ready

    def descriptor(self) -> int | None:
        """The open file in which the bytes of its content stand; None where there is none."""
        return self._content.descriptor()

    def is_outdated(self) -> bool:
        """Whether a packed file was written to since it was opened: then its content is another one."""
        return self.version is not None and version_of(self._fd) != self.version

    def prepare(self) -> bool:
        """Unpack a part of a packed file. Says if anything was done. Raises DamagedError and UnpackError."""
        return self._packed is not None and self._packed.step()

    def settle(self, size: int | None = None) -> None:
        """All of a packed file is read: keep its descriptor alone. `size`: bytes of content, where a former look at it knew."""
        if self._packed is not None:
            self._packed.settle(
                self._content.file_bytes(size) if isinstance(self._content, Utf16) and size is not None else size
            )

    def stamp(self) -> Stamp:
        """What changes when the file does."""
        status = os.fstat(self._fd)
        return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def quiet_s(self) -> float:
        """Seconds since a change was last seen by a call of this; a change of name counts."""
        stamp = self.stamp()
        if stamp != self._seen:
            self._seen, self._since_s = stamp, time.monotonic()
        return time.monotonic() - self._since_s

    def is_closed(self, after_s: float, unsure: int = UNSURE) -> bool:
        """Whether nothing more will be written to a file without a name: it was quiet for so long, and no process may write."""
        return is_closed(self._fd, self.quiet_s(), after_s, unsure)

    def unchanged_us(self) -> int:
        """Microseconds since the content changed, by this host's clock; 0 if that lies ahead."""
        return max(0, time.time_ns() - self.stamp().modified_ns) // 1000

    def inode(self) -> Inode:
        """Device and inode of the open file."""
        return Inode.of(os.fstat(self._fd))

    def is_at_its_path(self) -> bool:
        """Whether the path still leads to this file."""
        try:
            return Inode.of(self.path.stat()) == self.inode()
        except OSError:
            return False

    def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes of content from `start`; fewer at its end."""
        return self._content.read(start, length)

    def section(self, header: int) -> Section:
        """What stands behind the header at an offset, which `telemetry.formats.headers` has told of; 0: behind the head."""
        if header not in self._sections:
            line = self.header(header)
            heading = header_in(line, self.settings)
            self._sections[header] = Section(heading.format if heading else None, digest(line))
        return self._sections[header]

    def turned(self, header: int) -> None:
        """Forget what a format has learnt under a header: it has been given lines that were not its own."""
        known, mark = self._sections.pop(header)
        if not header and known is not None:
            again = type(known).of_header(list(known.columns), self.settings)
            self._sections[0] = Section(again or known, mark)

    def header(self, offset: int) -> bytes:
        """The header at an offset as it stands there; 0: that of the head."""
        return self.read(offset, (self.line_end(offset) or offset) - offset) if offset else self.head.header

    def header_for_next(self, offset: int) -> bytes | None:
        """The header at an offset, for a file that follows this one without a header: empty if no format knows it.

        None of a file that seems to have no header.
        """
        if self.section(offset).format:
            return self.header(offset)
        return b"" if offset or header_in(self.read(0, self.head.length), self.settings) else None

    def series_column(self) -> str:
        """The column that makes a new series of nearly each record, empty if none was seen to."""
        formats = (section.format for section in self._sections.values())
        return next((known.series_column for known in formats if known and known.series_column), "")

    def midnights(self, end: int) -> Midnights:
        """Where the days of its times begin, of all lines before an offset at which one begins."""
        self._midnights.reach(end, self.read)
        return self._midnights

    def line_end(self, start: int) -> int | None:
        """Where the physical line at `start` ends; None if it is still being written."""
        at = start
        while part := self.read(at, SCAN_BYTES):
            newline = part.find(b"\n")
            if newline >= 0:
                return at + newline + 1
            at += len(part)
        return at if self.final else None

    def physical_lines(self) -> int:
        """How many lines it has, whatever they hold; a last one without its end counts."""
        lines, at, last = 0, 0, b"\n"
        while part := self.read(at, SCAN_BYTES):
            lines, at, last = lines + part.count(b"\n"), at + len(part), part[-1:]
        return lines + (last != b"\n")

    def prefix(self, end: int) -> Prefix:
        """The digest of the bytes before an offset."""
        start = max(0, end - PREFIX_BYTES)
        return Prefix(start, end, digest(self.read(start, end - start)))

    def still_has(self, prefix: Prefix) -> bool:
        """Whether the bytes before an offset are what they were, and the head too."""
        if self._packed is not None:
            if self._packed.is_settled:
                return not self.is_outdated()
            self._packed.complete()
        return (
            self.size() >= prefix.end
            and digest(self.read(prefix.start, prefix.end - prefix.start)) == prefix.digest
            and self._digest_of_head() == self._head_digest
        )

    def _digest_of_head(self) -> str:
        head = self.head
        return digest(self.read(0, min(head.nuls, PREFIX_BYTES)) + self.read(head.nuls, head.length - head.nuls))


def _head(content: Content, max_record: int, settings: SourceSettings, inherited: bytes, *, final: bool) -> Head | None:
    """The head of a file. What a writer that does not append leaves where a file was cut, NULs, stands before it."""
    length, nuls = needed_bytes(max_record), leading_nuls(content.read)
    data = content.read(nuls, length)
    is_all = final and len(data) < length
    head = identify(data, max_record=max_record, final=is_all, settings=settings, inherited=inherited)
    if not head or not nuls:
        return head
    return replace(head, end=head.end + nuls if head.format else 0, length=head.length + nuls, nuls=nuls)
