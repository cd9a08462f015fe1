"""Finds the paths that the setting TELEMETRY_SOURCES names."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path


def matching(patterns: Iterable[str]) -> list[str]:
    """The paths that glob patterns match, in order; not all of them need be files. Plain text: there may be very many."""
    # Not Path.glob, which takes no absolute patterns. A Path's text, so that a path is written in one way.
    paths = {path for pattern in patterns for path in glob.glob(str(Path(pattern)), recursive=True)}  # noqa: PTH207
    return sorted(paths)
