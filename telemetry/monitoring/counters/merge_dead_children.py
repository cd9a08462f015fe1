"""Shows what processes count together, and adds the files of children that have died up into one.

Otherwise a worker whose children die again and again would fill the memory with files. One process at a time merges and reads,
so that no scrape sees a file and the sum that holds it already.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, multiprocess
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict

from telemetry.monitoring.counters import latency

LOCK = "merging"
# Stands in place of the process id; no process has this one.
SUM = "0"


class MergedCounts(multiprocess.MultiProcessCollector):
    """All that is counted in a directory, as a collector of prometheus_client."""

    def __init__(self, registry: CollectorRegistry, directory: Path) -> None:
        super().__init__(registry, str(directory))  # type: ignore[no-untyped-call]
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        """For a registry of prometheus_client."""
        with (self._directory / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            merge(self._directory)
            metrics: Iterable[Metric] = super().collect()  # type: ignore[no-untyped-call]
            return metrics


def merge(directory: Path) -> None:
    """Add what dead processes have counted to the sums, and remove their files."""
    for path in directory.glob("*_*.db"):
        kind, _, pid = path.stem.rpartition("_")
        if pid != SUM and not is_alive(int(pid)):
            _add(path, directory / f"{kind}_{SUM}.db")
            path.unlink()
    for path in directory.glob(latency.PATTERN):
        if not is_alive(latency.writer(path)) and latency.is_over(path):
            path.unlink()


def _add(part: Path, whole: Path) -> None:
    total = MmapedDict(str(whole))  # type: ignore[no-untyped-call]
    try:
        for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(part)):  # type: ignore[no-untyped-call]
            before, _ = total.read_value(key)  # type: ignore[no-untyped-call]
            total.write_value(key, before + value, timestamp)  # type: ignore[no-untyped-call]
    finally:
        total.close()  # type: ignore[no-untyped-call]


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
