"""How far a file was read, and whether the bytes that were read are still there.

A file that was cut or written anew may have other bytes at the same offsets, so nothing is read on before this was looked at.
What becomes of a source whose bytes are gone is decided in `stream`.
"""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.progress.state import Prefix, SourceState
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

    @classmethod
    def resumed(cls, source: SourceFile, state: SourceState) -> Verified:
        """A file of which a state says how far it was read. One that is packed, and was read whole, need not be unpacked."""
        size_bytes = state.size_bytes
        if state.all_committed and state.packed == source.version:
            source.settle(size_bytes)
        if not source.is_ready:
            # There may be more in it than was read before it was packed: until that is known, it is not all committed.
            size_bytes = max(size_bytes, state.window.end + 1)
        return cls(source, state.prefix, size_bytes)

    def look(self) -> bool:
        """Whether the bytes are still there; if so, the size is that of now."""
        stamp = self.source.stamp()
        size_bytes = self.source.size_at(stamp)
        if stamp == self._stamp and size_bytes == self.prefix.end:
            return True
        if not self.is_intact():
            return False
        self._stamp, self.size_bytes = stamp, size_bytes
        return True

    def is_intact(self) -> bool:
        """Whether the bytes are still there, by their digest."""
        return self.source.still_has(self.prefix)

    def advance(self, end: int) -> None:
        """The file was read up to an offset."""
        self.prefix = self.source.prefix(end)
