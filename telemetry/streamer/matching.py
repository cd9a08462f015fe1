"""Finds the files that the setting TELEMETRY_SOURCES names."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path


def matching(patterns: Iterable[str]) -> list[Path]:
    """The files that glob patterns match, in order."""
    # Not Path.glob, which takes no absolute patterns.
    paths = {Path(path) for pattern in patterns for path in glob.glob(pattern, recursive=True)}  # noqa: PTH207
    return sorted(path for path in paths if path.is_file())
