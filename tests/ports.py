"""Ports for tests that need one."""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many of them, each another one."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]
