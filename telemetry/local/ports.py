"""Ports of this machine: chooses them, tells which are free, and asks whether a server on one answers."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Collection, Mapping

HOST = "127.0.0.1"
TRIES = 100
USUAL = {"api": 8080, "flower": 5555, "beat": 9101, "streamer": 9102, "collector": 9103, "exporter": 9104, "uploads": 9105}


class PortTakenError(OSError):
    """There is no free port among those that were tried."""


def free_port(first: int, besides: Collection[int] = (), tries: int = TRIES) -> int:
    """The first port from `first` on that is not in `besides` and that nobody listens on. Raises PortTakenError."""
    for port in range(first, min(first + tries, 1 << 16)):
        if port not in besides and is_free(port):
            return port
    raise PortTakenError(
        f"port {first} is taken" + (f", and so are the {tries - 1} after it" if tries > 1 else "; give another one")
    )


def is_free(port: int) -> bool:
    """Whether a server could listen on a port now."""
    with socket.socket() as probe:
        # Some systems let two servers listen, one on all addresses and one on ours; only a connection tells.
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int, path: str) -> bool:
    """Whether a GET of a path succeeds. Proxies that the environment names are not used."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < http.HTTPStatus.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def choose(asked: Mapping[str, int | None]) -> dict[str, int]:
    """A port for each name: the one that was asked for, else the usual one or the next free one. Raises PortTakenError."""
    given = [port for port in asked.values() if port is not None]
    if twice := next((port for port in given if given.count(port) > 1), None):
        raise PortTakenError(f"port {twice} is wanted twice; give each process its own")
    chosen: dict[str, int] = {}
    for name, usual in USUAL.items():
        port = asked.get(name)
        chosen[name] = free_port(usual, [*given, *chosen.values()]) if port is None else free_port(port, tries=1)
    return chosen


def url(port: int) -> str:
    """Where a port is reached, from this machine only."""
    return f"http://{HOST}:{port}"
