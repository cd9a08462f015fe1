"""Packed files: by which bytes they are known, and how their content is unpacked piece by piece in bounded memory.

gzip and xz are the standard library's, zstd is Arrow's. Checksums are looked at by all three, at the end of the content or of
a piece of it; so nothing of a packed file may be believed before it was unpacked to its end. Where the content is kept is
`contents`'.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import zlib
from typing import Protocol

import pyarrow as pa

# RFC 1952, RFC 8878, and https://tukaani.org/xz/xz-file-format.txt.
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz"}
MAGIC_BYTES = max(map(len, MAGIC))
# The names that the tools give to what they pack.
SUFFIXES = (".gz", ".zst", ".xz")
PIECE_BYTES = 1 << 20
# What `xz -9` asks for to unpack, and about as much again; a file that asks for more is refused.
MAX_XZ_BYTES = 160 << 20


class DamagedError(Exception):
    """A packed file that cannot be unpacked to its end; the text says why. `is_cut`: it is sound as far as it goes."""

    def __init__(self, text: str, *, is_cut: bool) -> None:
        super().__init__(text)
        self.is_cut = is_cut


class Unpacker(Protocol):
    """Gives the content of a packed file in order."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, at least one but at the end."""


class _Packed(io.RawIOBase):
    """The bytes of an open file from its beginning, whoever else reads it. `error` is what reading has failed with."""

    def __init__(self, fd: int) -> None:
        self.error: OSError | None = None
        self._fd, self._at = fd, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Read what comes next."""
        try:
            part = os.pread(self._fd, len(buffer), self._at)
        except OSError as error:
            self.error = error
            raise
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


class _Xz:
    """Streams of xz, one behind the other, with what the format lets stand between them: NULs."""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._decoder: lzma.LZMADecompressor | None = None
        self._pending = b""

    def read(self, size: int, /) -> bytes:
        while True:
            if self._decoder is None or self._decoder.eof:
                if not self._begins():
                    return b""
                continue
            if self._decoder.needs_input and not self._pending:
                self._pending = self._raw.read(PIECE_BYTES)
                if not self._pending:
                    raise EOFError
            part = self._decoder.decompress(self._pending, size)
            self._pending = b""
            if part:
                return part

    def _begins(self) -> bool:
        """Begin with the next stream; False if there is none."""
        rest = self._decoder.unused_data if self._decoder else b""
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._raw.read(PIECE_BYTES)):
                return False
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_BYTES)
        self._pending = rest
        return True


class Unpacking:
    """The content of an open packed file, from its beginning; what is wrong with it is a DamagedError."""

    def __init__(self, fd: int, packing: str) -> None:
        self.packing = packing
        self.done_bytes = 0
        self._raw = _Packed(fd)
        self._stream: Unpacker
        if packing == "gzip":
            self._stream = gzip.GzipFile(fileobj=io.BufferedReader(self._raw, PIECE_BYTES))
        elif packing == "xz":
            self._stream = _Xz(io.BufferedReader(self._raw, PIECE_BYTES))
        else:
            self._stream = pa.CompressedInputStream(pa.PythonFile(self._raw, mode="r"), packing)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end of a whole file. Raises DamagedError, and OSError where the disk fails."""
        try:
            part = bytes(self._stream.read(size))
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if self._raw.error is not None:
                raise self._raw.error from None
            is_cut = isinstance(error, EOFError) or "Truncated compressed stream" in str(error)
            raise DamagedError(self._said(error, is_cut=is_cut), is_cut=is_cut) from None
        self.done_bytes += len(part)
        return part

    def _said(self, error: Exception, *, is_cut: bool) -> str:
        how = "it ends too early" if is_cut else str(error)
        where = f"behind {self.done_bytes:,} unpacked bytes ({how})"
        return f"its {self.packing} data is damaged {where}, so nothing of it is read; put a whole copy in its place"


def packing_of(fd: int) -> str:
    """What an open file is packed with, empty for nothing that is known here."""
    first = os.pread(fd, MAGIC_BYTES, 0)
    return next((name for magic, name in MAGIC.items() if first.startswith(magic)), "")
