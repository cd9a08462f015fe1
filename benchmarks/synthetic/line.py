"""A bare connection to the broker: packed commands out, raw answers in.

A client that parses every answer would take most of a core for a thousand edges, on the machine that is measured. So
each exchange ends in an ECHO, and of all that comes before it only errors and what follows a mark are looked at.
"""

from __future__ import annotations

import socket
from typing import Any

import redis

from benchmarks.bench import BenchError

CHUNK = 1 << 16
END = ("ECHO", "end")
MARK = ("ECHO", "mark")
ENDED, MARKED, ERROR = b"$3\r\nend\r\n", b"$4\r\nmark\r\n", b"\r\n-"


def pack(*commands: tuple[Any, ...]) -> bytes:
    """Commands as the protocol has them."""
    parts = []
    for command in commands:
        words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
        parts.append(b"*%d\r\n" % len(words))
        parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


class Line:
    """One connection to the Unix socket that a client knows."""

    def __init__(self, client: redis.Redis) -> None:
        options = client.connection_pool.connection_kwargs
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(options["path"])
        self.send(pack(("SELECT", options["db"]), END))
        self.answers()

    def send(self, packed: bytes) -> None:
        """Send commands, the last of them END."""
        self._socket.sendall(packed)

    def answers(self) -> bytes:
        """All that was answered, without what END did. Raises BenchError if any command failed."""
        answer = b""
        while not answer.endswith(ENDED):
            part = self._socket.recv(CHUNK)
            if not part:
                raise BenchError("the broker hung up")
            answer += part
        if ERROR in answer or answer.startswith(ERROR[2:]):
            raise BenchError(f"the broker refused a command: {answer[:500]!r}")
        return answer.removesuffix(ENDED)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def hash_keys(answers: bytes) -> list[str]:
    """The keys of the hash that was asked for after MARK: every second text."""
    lines = answers.rpartition(MARKED)[2].split(b"\r\n")
    return [key.decode() for key in lines[2::4]]
