"""A connection to the broker that its process closes is gone from that process's epoll, whatever children it has."""

from __future__ import annotations

import multiprocessing
import select
from multiprocessing.synchronize import Event

from telemetry import broker
from telemetry.settings import Settings
from tests.waiting import eventually


def _live_until(over: Event) -> None:
    over.wait(60)


def test_a_closed_connection_is_nowhere_ready_while_a_child_lives(settings: Settings) -> None:
    context = multiprocessing.get_context("fork")
    over = context.Event()
    with broker.connect(settings) as client, select.epoll() as poller:
        pool = client.connection_pool
        connection = pool.get_connection()
        poller.register(connection._sock.fileno(), select.EPOLLIN)
        child = context.Process(target=_live_until, args=(over,))
        child.start()
        connection.disconnect()
        pool.release(connection)
        try:
            # The child lets go of it in its first moment, which may come later than this one.
            eventually(lambda: poller.poll(0) == [], 10, what="the connection is nowhere ready")
        finally:
            over.set()
            child.join()


def test_a_child_that_uses_a_client_of_its_parent_connects_anew(settings: Settings) -> None:
    context = multiprocessing.get_context("fork")
    with broker.connect(settings) as client:
        assert client.ping()
        child = context.Process(target=client.ping)
        child.start()
        child.join()
        assert child.exitcode == 0
        assert client.ping()
