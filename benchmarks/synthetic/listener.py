"""Hears when acknowledgements arrive at the broker, on the clock of the process that publishes.

The broker tells of each write to a hash of acknowledgements (keyspace notifications). What it tells is stamped as it
comes and read after the run: it is not to take the time that it measures.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import redis

CHUNK = 1 << 16
# Of hashes, by key: https://valkey.io/topics/notifications/
EVENTS = {"notify-keyspace-events": "Kh"}
WRITTEN = re.compile(rb"__keyspace@0__:(\S+)\r\n\$4\r\nhset\r\n")


class Listener:
    """While entered, stamps what the broker tells of keys like a pattern. It must have been told to tell: EVENTS."""

    def __init__(self, client: redis.Redis, pattern: str) -> None:
        self._parts: list[tuple[float, bytes]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(client.connection_pool.connection_kwargs["path"])
        channel = f"__keyspace@0__:{pattern}"
        self._socket.sendall(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$%d\r\n%b\r\n" % (len(channel), channel.encode()))
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while part := self._socket.recv(CHUNK):
            self._parts.append((time.monotonic(), part))

    def heard(self) -> list[tuple[str, float]]:
        """Keys and when they were written to, in order."""
        writes, rest = [], b""
        for at_s, part in self._parts:
            rest += part
            last = None
            for last in WRITTEN.finditer(rest):
                writes.append((last[1].decode(), at_s))
            rest = rest[last.end() :] if last else rest
        return writes


def delays(published: Mapping[str, Sequence[float]], heard: Sequence[tuple[str, float]]) -> tuple[list[float], int]:
    """Seconds from each publication under a key to the next writing to that key, and how many publications none followed.

    Several acknowledgements in one writing answer the oldest only: that errs towards a longer delay.
    """
    waiting = {key: deque(times) for key, times in published.items()}
    delays_s = []
    for key, at_s in heard:
        times = waiting.get(key)
        if times and times[0] <= at_s:
            delays_s.append(at_s - times.popleft())
    return delays_s, sum(map(len, waiting.values()))
