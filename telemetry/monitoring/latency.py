"""How long batches took from their first publication to their commit, over the last minute: the median, exactly.

Each process writes into a ring of its own, a mapped file in the shared directory (or memory, where nothing is shared):
SLOTS for each second, after which slots of that second are overwritten at random, so a busy second counts as a fair sample
of itself. Both instants are taken from the broker's clock; which second a slot belongs to is this machine's business.
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

WINDOW_S = 60
SLOTS = 16
# Second of the monotonic clock, latency in seconds, name of the source cluster in UTF-8.
RECORD = struct.Struct("<qd64s")
SIZE_BYTES = WINDOW_S * SLOTS * RECORD.size
PATTERN = "latency_*.ring"


class Ring:
    """The last minute of one process."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._pid = 0
        self._second = self._seen = 0
        self._memory = mmap.mmap(-1, SIZE_BYTES) if directory is None else None

    def add(self, cluster: str, latency_s: float) -> None:
        """Note one batch."""
        memory = self._own()
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._seen = second, 0
        self._seen += 1
        slot = self._seen - 1 if self._seen <= SLOTS else random.randrange(self._seen)  # noqa: S311
        if slot < SLOTS:
            at = (second % WINDOW_S * SLOTS + slot) * RECORD.size
            RECORD.pack_into(memory, at, second, latency_s, cluster.encode()[:64])

    def medians(self) -> dict[str, float]:
        """The median of the last minute by source cluster, in seconds; clusters from which nothing came are not in it."""
        oldest = int(time.monotonic()) - WINDOW_S
        found: dict[str, list[float]] = defaultdict(list)
        for memory in self._all():
            for second, latency_s, name in RECORD.iter_unpack(memory):
                if second > oldest and name[0]:
                    found[name.rstrip(b"\0").decode(errors="replace")].append(latency_s)
        return {cluster: median(each) for cluster, each in sorted(found.items())}

    def _own(self) -> mmap.mmap:
        """The ring this process writes; a child that was forked makes its own."""
        if self._directory is not None and self._pid != os.getpid():
            self._pid = os.getpid()
            with (self._directory / PATTERN.replace("*", str(self._pid))).open("w+b") as file:
                file.truncate(SIZE_BYTES)
                self._memory = mmap.mmap(file.fileno(), SIZE_BYTES)
        assert self._memory is not None, "a ring is in memory or in a file"  # noqa: S101
        return self._memory

    def _all(self) -> Iterator[bytes]:
        if self._directory is None:
            assert self._memory is not None, "a ring is in memory or in a file"  # noqa: S101
            yield self._memory[:]
            return
        for path in self._directory.glob(PATTERN):
            content = path.read_bytes()
            if len(content) == SIZE_BYTES:
                yield content
