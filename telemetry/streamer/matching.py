"""Finds the paths that the setting TELEMETRY_SOURCES names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# In a pattern, any number of directories.
ANY_DEPTH = "**"


def matching(patterns: Iterable[str]) -> list[str]:
    """The paths that glob patterns match, in order; not all of them need be files. Plain text: there may be very many.

    For `**` links to directories are not followed, as they may lead in a circle.
    """
    return sorted({path for pattern in patterns for path in _matching(Path(pattern))})


def _matching(pattern: Path) -> Iterator[str]:
    if ANY_DEPTH not in pattern.parts:
        # Not Path.glob, which takes no absolute patterns. A Path's text, so that a path is written in one way.
        yield from glob.glob(str(pattern))  # noqa: PTH207
        return
    at = pattern.parts.index(ANY_DEPTH)
    above, below = Path(*pattern.parts[:at]), pattern.parts[at + 1 :] or ("*",)
    for base in glob.glob(str(above)):  # noqa: PTH207
        for directory, inner, _ in os.walk(base):
            inner[:] = [name for name in inner if not name.startswith(".")]
            yield from _matching(Path(glob.escape(directory), *below))
