"""Tells a longer copy of a file from another file of its name.

Who copies a growing file again and again, as rsync does, often cuts a line, and the next copy takes the place of the one that
ends with half of it. That half is no last line, as it is of a file that was rotated away: it goes on in the longer copy.
"""

from __future__ import annotations

from telemetry.streamer.source import SourceFile
from telemetry.streamer.stream import Stream


def is_longer_copy(source: SourceFile, former: Stream, most_bytes: int) -> bool:
    """Whether a file has all that is left to read of the one whose place it took, at most so many bytes, and goes on after it.

    Both are one source: they begin the same, and what was read before is compared when the file is gone on with.
    """
    start, end = former.window.end, former.source.size()
    if not (source.is_plain and former.source.is_plain and 0 < end - start <= most_bytes and end < source.size()):
        return False
    return source.read(start, end - start) == former.source.read(start, end - start)
