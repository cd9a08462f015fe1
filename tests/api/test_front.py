"""Requests that are sent half cost others nothing, and are given up."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from telemetry.api.core import deadlines
from tests.fixtures.processes import Start
from tests.ports import free_port
from tests.waiting import eventually

HALF = b"GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n"
MANY = 200


@pytest.fixture
def port(start: Start) -> int:
    """The port of an API as the chart runs one of its processes: with four threads."""
    chosen = free_port()
    options = ("--bind", f"127.0.0.1:{chosen}", "--workers", "1", "--threads", "4", "--no-control-socket")
    start(
        "gunicorn",
        "--config",
        "python:telemetry.api.gunicorn_conf",
        *options,
        "telemetry.api:create_app()",
        TELEMETRY_API_ACCESS="open",
    )
    eventually(lambda: is_up(chosen), 30, what="the API answers")
    return chosen


def is_up(port: int) -> bool:
    """Whether it answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/v1/health/live", timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@pytest.fixture
def halves(port: int) -> Iterator[list[socket.socket]]:
    """Many connections that have sent half a head."""
    with ExitStack() as opened:
        made = [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(MANY)]
        for one in made:
            one.sendall(HALF)
        yield made


def test_two_hundred_half_requests_cost_others_nothing_and_are_given_up(port: int, halves: list[socket.socket]) -> None:
    slowest_s = 0.0
    for _ in range(30):
        began_s = time.monotonic()
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/health/live", timeout=5).status_code == httpx.codes.OK
        slowest_s = max(slowest_s, time.monotonic() - began_s)
    assert slowest_s < 2
    for one in halves:
        one.settimeout(3 * deadlines.HEAD_S)
        assert one.recv(100) == b""


def test_a_head_in_pieces_and_further_requests_of_a_connection_are_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        for _ in range(2):
            for piece in (HALF[:10], HALF[10:], b"Accept: application/json\r\n", b"\r\n"):
                one.sendall(piece)
                # Each piece comes alone.
                is_up(port)
            answer = b""
            # Head and body may come apart.
            while b'"samples"' not in answer:
                answer += one.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_head_without_end_is_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        one.sendall(HALF + b"X: " + b"y" * 200_000)
        assert one.recv(100).startswith(b"HTTP/1.1 4")
    assert is_up(port)
