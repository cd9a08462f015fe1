"""How far a file was read, and whether the bytes that were read are still there.

A file that was cut or written anew may have other bytes at the same offsets, so nothing is read on before this was looked at.
What becomes of a source whose bytes are gone is decided in `stream`.
"""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.progress.state import Prefix
from telemetry.streamer.source import SourceFile, Stamp


@dataclass(slots=True)
class Verified:
    """The digest of the last bytes that were read, and how large the file was when they were last seen to be there."""

    source: SourceFile
    prefix: Prefix
    size_bytes: int
    _stamp: Stamp | None = None

    @classmethod
    def up_to(cls, source: SourceFile, end: int) -> Verified:
        """A file that was read up to an offset just now."""
        return cls(source, source.prefix(end), source.size())

    def look(self) -> bool:
        """Whether the bytes are still there; if so, the size is that of now."""
        stamp = self.source.stamp()
        if stamp == self._stamp and stamp.size == self.prefix.end:
            return True
        if not self.is_intact():
            return False
        self._stamp, self.size_bytes = stamp, stamp.size
        return True

    def is_intact(self) -> bool:
        """Whether the bytes are still there, by their digest."""
        return self.source.still_has(self.prefix)

    def advance(self, end: int) -> None:
        """The file was read up to an offset."""
        self.prefix = self.source.prefix(end)
