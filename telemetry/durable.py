"""Brings a file or a directory to the disk, so that a power cut takes nothing of it. A rename is kept by its directory."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Return once what was written to a file, or the names in a directory, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
