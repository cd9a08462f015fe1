"""Whether the file of a source is still at its path, and whether it may be coming back there as a packed one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from telemetry.progress.state import SourceState
from telemetry.settings import Settings
from telemetry.streamer.contents import Bench
from telemetry.streamer.packing import SUFFIXES
from telemetry.streamer.source import SourceFile


def has_its_file(state: SourceState, settings: Settings) -> bool:
    """Whether the path leads to a file that begins as the source did. A file that cannot be read may be it."""
    try:
        said, longest = settings.of_source(state.path), settings.max_record_bytes
        source = SourceFile.open(Path(state.path), max_record=longest, final=True, settings=said, bench=Bench())
    except FileNotFoundError:
        return False
    except OSError:
        return True
    if source is None:
        return False
    with source:
        return source.head.fingerprint == state.fingerprint


def being_packed(paths: Iterable[str], quiet_s: float) -> set[str]:
    """The directories with a packed file that was touched within the last `quiet_s` seconds: it is not read before that."""
    directories: set[str] = set()
    for path in paths:
        if path.endswith(SUFFIXES):
            try:
                touched_s = os.stat(path).st_ctime  # noqa: PTH116 - there may be very many
            except OSError:
                continue
            if time.time() - touched_s < quiet_s:
                directories.add(str(Path(path).parent))
    return directories
