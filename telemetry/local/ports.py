"""Ports of this machine: which are chosen, which are free, and whether what listens there answers."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Collection, Mapping

HOST = "127.0.0.1"
TRIES = 100
USUAL = {"api": 8080, "flower": 5555, "beat": 9101, "streamer": 9102, "collector": 9103, "exporter": 9104, "uploads": 9105}


class TakenError(OSError):
    """No port is free where one was sought."""


def free_port(wanted: int, besides: Collection[int] = (), tries: int = TRIES) -> int:
    """The first port from `wanted` on, but those in `besides`, that nobody listens on."""
    for port in range(wanted, min(wanted + tries, 1 << 16)):
        if port not in besides and is_free(port):
            return port
    raise TakenError(f"port {wanted} is taken" + (f", and so are the {tries - 1} after it" if tries > 1 else ""))


def is_free(port: int) -> bool:
    """Whether a server could listen on a port now."""
    with socket.socket() as asked:
        # Some systems let two listen, one on all addresses and one on ours: only a connection tells.
        asked.settimeout(1)
        if asked.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int, path: str) -> bool:
    """Whether a GET of a path succeeds. Proxies that the environment names do not matter."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < http.HTTPStatus.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def choose(asked: Mapping[str, int | None]) -> dict[str, int]:
    """A port for each name: the one that was asked for, else the usual one or the next that is free."""
    given = [port for port in asked.values() if port is not None]
    if len(set(given)) < len(given):
        raise TakenError(f"port {given[0]} is wanted twice")
    chosen: dict[str, int] = {}
    for name, usual in USUAL.items():
        wanted = asked.get(name)
        chosen[name] = free_port(usual, [*given, *chosen.values()]) if wanted is None else free_port(wanted, tries=1)
    return chosen


def url(port: int) -> str:
    """Where a port is reached, from this machine only."""
    return f"http://{HOST}:{port}"
