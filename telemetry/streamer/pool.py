"""Processes that read parts of large files while this one publishes. They are forks of it, and end with it.

Which parts they read, and whether what comes of them is believed, is decided in `shared`. Each has a connection of its own,
of which no third process holds an end, so that this one hears at once that one has died, whatever it did just then.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import signal
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from telemetry.streamer.parts import KEPT_OPEN_S, Answer, Part, Parts

log = logging.getLogger(__name__)

# Of more there is no gain where one process publishes.
MAX_OF_ITSELF = 2
# A process has one part to read, and one to go on with.
PARTS_A_PROCESS = 2
# A part takes a tenth of a second.
PATIENCE_S = 60
# https://docs.kernel.org/admin-guide/cgroup-v2.html: microseconds of all cores in a period, or "max", and the period.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(slots=True, eq=False)
class Asked:
    """A part that a process was asked for, and the answer when it is there."""

    by: _Process
    answer: Answer | None = None


@dataclass(slots=True, eq=False)
class _Process:
    process: ForkProcess
    connection: Connection
    asked: deque[Asked] = field(default_factory=deque)

    def receive(self) -> None:
        """Take the next answer, which is to what was asked first. After an error nobody knows where the next one begins."""
        answer = self.connection.recv()
        self.asked.popleft().answer = answer


class Pool:
    """So many processes, or none until they are started."""

    def __init__(self) -> None:
        self._processes: list[_Process] = []
        self._turns = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._processes)

    def start(self, count: int) -> None:
        """Start so many, before this process has connections. None where no process can open another's files."""
        if not Path("/proc/self/fd").exists():
            return
        context = multiprocessing.get_context("fork")
        try:
            for _ in range(count):
                ours, theirs = context.Pipe()
                _be_patient(ours)
                not_its_own = [ours, *(each.connection for each in self._processes)]
                process = context.Process(target=_serve, args=(theirs, not_its_own), daemon=True)
                process.start()
                theirs.close()
                self._processes.append(_Process(process, ours))
        except OSError as error:
            self._lose(error)

    def turn(self) -> int:
        """A number for the parts of one file that follow on each other."""
        return next(self._turns)

    def takes_a_part(self) -> bool:
        """Take the answers that are there, and say whether a process has not enough to do."""
        try:
            for each in self._processes:
                while each.asked and each.connection.poll():
                    each.receive()
        except Exception as error:  # noqa: BLE001 - see `receive`
            self._lose(error)
        return any(len(each.asked) < PARTS_A_PROCESS for each in self._processes)

    def ask(self, part: Part) -> Asked | None:
        """Ask the process for a part that has least to do. None if it has died."""
        idlest = min(self._processes, key=lambda each: len(each.asked))
        try:
            idlest.connection.send(part)
        except OSError as error:
            self._lose(error)
            return None
        asked = Asked(idlest)
        idlest.asked.append(asked)
        return asked

    def wait(self, asked: Asked) -> Answer | None:
        """The answer to what was asked. None if the process has died, or is silent for PATIENCE_S."""
        while asked.answer is None and asked.by in self._processes:
            try:
                asked.by.receive()
            except Exception as error:  # noqa: BLE001 - see `receive`
                self._lose(error)
        return asked.answer

    def _lose(self, error: Exception) -> None:
        log.warning("the other processes that read are gone, so this one reads alone: %s", error or type(error).__name__)
        self._end()

    def _end(self) -> None:
        for each in self._processes:
            each.process.kill()
            each.process.join()
            each.connection.close()
        self._processes.clear()


def free_cores() -> int:
    """How many cores are left beside one that publishes and one that stores, MAX_OF_ITSELF at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = map(int, QUOTA.read_text(encoding="ascii").split())
        cores = min(cores, quota // period)
    return max(0, min(MAX_OF_ITSELF, cores - 2))


def _be_patient(connection: Connection) -> None:
    """Let a read from a connection end after PATIENCE_S, also in the middle of an answer (SO_RCVTIMEO of socket(7))."""
    with socket.socket(fileno=os.dup(connection.fileno())) as its:
        its.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", PATIENCE_S, 0))


def _serve(connection: Connection, not_its_own: list[Connection]) -> None:
    """In a process of the pool: answer until the process that asks has gone. Ctrl-C is that one's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for each in not_its_own:
        each.close()
    parts = Parts()
    with suppress(OSError, EOFError):
        while True:
            if connection.poll(KEPT_OPEN_S):
                connection.send(parts.answer(connection.recv()))
            parts.let_go()
