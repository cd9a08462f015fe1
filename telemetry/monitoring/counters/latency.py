"""The median time of batches from first publication to commit, over the last minute.

Each process has a ring for each cluster: a mapped file in the shared directory, or memory where nothing is shared. A ring has
SLOTS slots for each second. When those are full, further batches of that second replace one at random, so that a busy second
keeps a fair sample, and a busy cluster takes no room from a small one. The caller bounds the number of clusters. Latencies
are differences of the broker's clock; the second of a slot is taken from this machine's clock.
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

WINDOW_S = 60
SLOTS = 8
# Second of the monotonic clock, latency in seconds, name of the source cluster in UTF-8.
RECORD = struct.Struct("<qd64s")
SIZE_BYTES = WINDOW_S * SLOTS * RECORD.size
PATTERN = "latency_*.ring"


@dataclass(slots=True)
class Slots:
    """The last minute of one cluster in one process, and what was seen of the present second."""

    memory: mmap.mmap
    name: bytes
    second: int = 0
    seen: int = 0

    def add(self, latency_s: float) -> None:
        """Note one batch."""
        second = int(time.monotonic())
        if second != self.second:
            self.second, self.seen = second, 0
        self.seen += 1
        slot = self.seen - 1 if self.seen <= SLOTS else random.randrange(self.seen)  # noqa: S311
        if slot < SLOTS:
            at = (second % WINDOW_S * SLOTS + slot) * RECORD.size
            RECORD.pack_into(self.memory, at, second, latency_s, self.name)


class Ring:
    """The last minute of one process, and of those it shares a directory with."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._pid = os.getpid()
        self._own: dict[str, Slots] = {}

    def add(self, cluster: str, latency_s: float) -> None:
        """Note one batch."""
        if self._pid != os.getpid():
            # A forked child has files of its own.
            self._pid, self._own = os.getpid(), {}
        slots = self._own.get(cluster)
        if slots is None:
            slots = self._own[cluster] = Slots(self._memory(), cluster.encode()[:64])
        slots.add(latency_s)

    def medians(self) -> dict[str, float]:
        """The median of the last minute by source cluster, in seconds, without clusters from which nothing came."""
        oldest = int(time.monotonic()) - WINDOW_S
        latencies_s: dict[str, list[float]] = defaultdict(list)
        for memory in self._all():
            for second, latency_s, name in RECORD.iter_unpack(memory):
                if second > oldest and name[0]:
                    latencies_s[name.rstrip(b"\0").decode(errors="replace")].append(latency_s)
        return {cluster: median(values) for cluster, values in sorted(latencies_s.items())}

    def median_of_last(self, seconds: float) -> float | None:
        """The median of the last `seconds`, at most WINDOW_S, over all clusters. None if nothing came."""
        oldest = time.monotonic() - seconds
        latencies_s = [
            latency_s
            for memory in self._all()
            for second, latency_s, name in RECORD.iter_unpack(memory)
            if second >= oldest and name[0]
        ]
        return median(latencies_s) if latencies_s else None

    def _memory(self) -> mmap.mmap:
        if self._directory is None:
            return mmap.mmap(-1, SIZE_BYTES)
        with (self._directory / PATTERN.replace("*", f"{self._pid}_{len(self._own)}")).open("w+b") as file:
            file.truncate(SIZE_BYTES)
            return mmap.mmap(file.fileno(), SIZE_BYTES)

    def _all(self) -> Iterator[bytes]:
        if self._directory is None:
            yield from (slots.memory[:] for slots in self._own.values())
            return
        for path in self._directory.glob(PATTERN):
            yield _content(path)


def writer(path: Path) -> int:
    """The process that writes a file of a ring."""
    return int(path.stem.split("_")[1])


def is_over(path: Path) -> bool:
    """Whether a file of a ring holds nothing of the last minute."""
    oldest = int(time.monotonic()) - WINDOW_S
    return all(second <= oldest for second, _, _ in RECORD.iter_unpack(_content(path)))


def _content(path: Path) -> bytes:
    """The bytes of a file; none while it is being made or once it is removed."""
    with suppress(FileNotFoundError):
        content = path.read_bytes()
        if len(content) == SIZE_BYTES:
            return content
    return b""
