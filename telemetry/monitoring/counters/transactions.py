"""How the last transaction of a collector ended: written by its children, which hold the connections, for its main process.

It is one record in the shared directory, written by whoever was last. A failure is believed for BELIEVED_S: while messages
wait, the next try comes sooner.
"""

from __future__ import annotations

import mmap
import struct
import time
from functools import cache
from pathlib import Path

from telemetry.monitoring.counters import shared

RECORD = struct.Struct("<d?")
FILE = "last-transaction"
BELIEVED_S = 60.0


@cache
def last() -> LastTransaction:
    """The record of this process and of those it forks; call it before the fork."""
    return LastTransaction(shared.directory())


class LastTransaction:
    """When it ended, and whether the database had failed."""

    def __init__(self, directory: Path | None) -> None:
        if directory is None:
            self._memory = mmap.mmap(-1, RECORD.size)
            return
        with (directory / FILE).open("w+b") as file:
            file.truncate(RECORD.size)
            self._memory = mmap.mmap(file.fileno(), RECORD.size)

    def ended(self, *, failed: bool) -> None:
        """It has ended now."""
        self._memory[:] = RECORD.pack(time.monotonic(), failed)

    def failed(self) -> bool:
        """Whether the database failed lately, and has not answered since."""
        at_s, failed = RECORD.unpack(self._memory[:])
        return bool(failed) and time.monotonic() - at_s < BELIEVED_S
