"""Processes that read parts of large files while this one publishes. They are forks of it, and end with it.

Which parts they read, and whether what comes of them is believed, is decided in `shared`.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self

from telemetry.streamer import parts
from telemetry.streamer.parts import Answer, Part

log = logging.getLogger(__name__)

# Of more there is no gain where one process publishes.
MAX_OF_ITSELF = 2


class Pool:
    """So many processes, or none until they are started."""

    def __init__(self) -> None:
        self.count = 0
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def start(self, count: int) -> None:
        """Start so many, before this process has connections. None where no process can open another's files."""
        if count and Path("/proc/self/fd").exists():
            self._pool = ProcessPoolExecutor(count, multiprocessing.get_context("fork"), _begin)
            # With the first thing to do all of them are forked.
            self._pool.submit(_nothing)
            self.count = count

    def read(self, part: Part) -> Future[Answer]:
        """The answer to a part, or what prevented it."""
        assert self._pool is not None, "some are started"  # noqa: S101
        try:
            return self._pool.submit(parts.read, part)
        except BrokenProcessPool as error:
            broken: Future[Answer] = Future()
            broken.set_exception(error)
            return broken

    def lose(self, error: Exception) -> None:
        """Ask none of them any more."""
        if self.count:
            log.warning("the other processes that read are lost, so this one reads alone: %s", error)
        self.count = 0


def free_cores() -> int:
    """How many cores are left beside one that publishes and one that stores, MAX_OF_ITSELF at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(MAX_OF_ITSELF, cores - 2))


def _begin() -> None:
    """In a process of the pool: leave Ctrl-C to the process that publishes, and end when that has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "it is a child"  # noqa: S101

    def end_with_it() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_it, daemon=True).start()


def _nothing() -> None:
    """What one is asked for first."""
