"""Requests that are sent half cost others nothing, and are given up."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from telemetry.api.core import deadlines
from telemetry.api.front import SMALL_BYTES
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


@pytest.mark.redteam(of="S3")
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


def test_clients_that_do_not_close_cost_others_nothing(port: int) -> None:
    """Their request is answered, and they were asked to close."""
    with ExitStack() as opened:
        for _ in range(MANY):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            one.sendall(HALF + b"Connection: close\r\n\r\n")
        began_s = time.monotonic()
        assert one.recv(100).startswith(b"HTTP/1.1 200 OK")
        assert is_up(port)
        # In turn they would have waited two seconds for each.
        assert time.monotonic() - began_s < MANY / 10


def test_bodies_that_do_not_come_behind_a_refusal_occupy_no_thread(port: int) -> None:
    with ExitStack() as opened:
        for _ in range(MANY):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            one.sendall(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\nhalf")
        assert one.recv(100).startswith(b"HTTP/1.1 404 ")
        assert is_up(port)


def test_half_a_request_behind_another_occupies_no_thread(port: int) -> None:
    with ExitStack() as opened:
        made = [opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(8)]
        for one in made:
            one.sendall(HALF + b"\r\n" + HALF[:20])
            assert one.recv(100).startswith(b"HTTP/1.1 200 OK")
        assert is_up(port)
        made[0].sendall(HALF[20:] + b"\r\n" + HALF + b"\r\n")
        answers = b""
        while answers.count(b"HTTP/1.1 200 OK") < 2:
            answers += made[0].recv(65_536)


def test_half_a_login_occupies_no_thread(port: int) -> None:
    """Anybody may send one: it is read once it is whole."""
    form = b"key=tk_1&then=/"
    kind = b"Content-Type: application/x-www-form-urlencoded\r\n"
    head = b"POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + kind
    with ExitStack() as opened:
        for more in (b"Length: 15\r\n", b"Length: 15\r\nExpect: 100-continue\r\n", b"Length: 99999\r\n"):
            for _ in range(20):
                one = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
                one.sendall(head + b"Content-" + more + b"\r\n" + form[:5])
        assert is_up(port)
        whole = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        whole.sendall(head + b"Content-Length: 15\r\n\r\n" + form[:5])
        assert is_up(port)
        whole.sendall(form[5:])
        # Refused, as the key or as one more log-in of this address.
        assert whole.recv(100).startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 429 "))


def test_uploads_that_stand_still_leave_threads_for_others(port: int) -> None:
    """One is taken at once. The others are told so, and when to come again. The first goes on when its bytes come."""
    rows = b"timestamp,metric_name,gpu_id,uuid,value\n" + SMALL_BYTES * b"2025-07-18T20:42:34Z,GPU_UTIL,0,GPU-1,5\n"
    lines = ("POST /api/v1/telemetry HTTP/1.1", "Host: localhost", "Content-Type: text/csv", f"Content-Length: {len(rows)}")
    half = "\r\n".join((*lines, "", "")).encode() + rows[:20]
    url = f"http://127.0.0.1:{port}/api/v1"

    def send() -> httpx.Response:
        return httpx.post(f"{url}/telemetry", content=rows, headers={"Content-Type": "text/csv"}, timeout=30)

    with socket.create_connection(("127.0.0.1", port), timeout=30) as first:
        first.sendall(half)
        refused = eventually(lambda: None if (answer := send()).is_success else answer, what="the first upload has the place")
        assert refused is not None
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_uploads")
        assert refused.headers["Retry-After"] == "5"
        with ExitStack() as others:
            for _ in range(MANY):
                others.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(half)
            assert httpx.get(f"{url}/stats", timeout=30).status_code == httpx.codes.OK
            first.sendall(rows[20:])
            assert first.recv(100).startswith(b"HTTP/1.1 202 ")
    assert eventually(lambda: send().is_success)
