"""The content of a file that is UTF-16, as the bytes that it would have as ASCII.

PowerShell writes so what is sent to a file with `>`. Each two bytes behind the mark stand for one byte of content, so offsets
can be turned into each other, and a file may be read while it grows. What is not ASCII becomes a byte that no UTF-8 has: a row
with such a character goes to quarantine, and one in a header makes the file foreign. Nothing is read as what it does not say.
"""

from __future__ import annotations

import codecs

import numpy as np

from telemetry.streamer.contents import Plain, Unpacked

# Each with NumPy's name of its order of bytes.
MARKS = {codecs.BOM_UTF16_LE: "<u2", codecs.BOM_UTF16_BE: ">u2"}
MARK_BYTES = 2
ASCII_END = 0x80
NO_ASCII = 0xFF


class Utf16:
    """The content of another content that begins with one of the MARKS."""

    def __init__(self, inner: Plain | Unpacked, order: str) -> None:
        self._inner = inner
        self._order = order

    @property
    def is_packed(self) -> bool:
        """Whether the file is packed."""
        return self._inner.is_packed

    @property
    def is_ready(self) -> bool:
        """Whether any part can be read at once."""
        return self._inner.is_ready

    def size(self) -> int:
        """Bytes of content now."""
        return _units(self._inner.size())

    def size_at(self, file_bytes: int) -> int:
        """Bytes of content when the file had this size."""
        return _units(self._inner.size_at(file_bytes))

    def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`; fewer at the end."""
        data = self._inner.read(self.file_bytes(start), 2 * length)
        units = np.frombuffer(data, self._order, len(data) // 2)
        return np.where(units < ASCII_END, units, NO_ASCII).astype(np.uint8).tobytes()

    @staticmethod
    def file_bytes(size: int) -> int:
        """How many bytes of the other content hold so many of this one."""
        return MARK_BYTES + 2 * size

    @staticmethod
    def descriptor() -> None:
        """In no file its bytes stand as they are."""

    def close(self) -> None:
        """Let what is held beside the file go."""
        self._inner.close()


def decoded(content: Plain | Unpacked) -> Plain | Unpacked | Utf16:
    """A content, or if it is UTF-16 the one that it stands for."""
    order = MARKS.get(content.read(0, MARK_BYTES))
    return Utf16(content, order) if order else content


def _units(size: int) -> int:
    return max(0, size - MARK_BYTES) // 2
