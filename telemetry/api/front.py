"""The front of the API: it keeps slow clients from the threads that answer requests.

Gunicorn gives each connection a thread as soon as a byte has come, so a few requests that are sent half, by anybody, would
occupy all threads, and probes would go unanswered. Here the worker's own loop takes the head of a request, and a thread comes
in once it is whole. A head that does not come is given up after `deadlines.HEAD_S`. Bodies, which only holders of a key may
send, are read in threads: see `telemetry.api.resources.uploads`.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from telemetry.api.core import deadlines

END = b"\r\n\r\n"
MOST_BYTES = 128 << 10
TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
PIECE_BYTES = 64 << 10


class Front(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn's worker with threads, which get requests whose head has come."""

    def accept(self, listener: Any) -> None:
        """Take a connection. With TLS, gunicorn has to begin it in a thread."""
        if self.cfg.is_ssl:
            super().accept(listener)
            return
        with suppress(BlockingIOError, ConnectionAbortedError):
            client, address = listener.accept()
            self.nr_conns += 1
            conn = TConn(self.cfg, client, address, listener.getsockname())
            conn.head = bytearray()
            self._await_head(conn)

    def on_client_socket_readable(self, conn: Any, client: socket.socket) -> None:
        """The first bytes of a further request of a connection."""
        self.keepalived_conns.remove(conn)
        self.poller.unregister(client)
        if self.cfg.is_ssl:
            self.enqueue_req(conn)
            return
        conn.head = bytearray()
        self._await_head(conn)
        self.on_pending_socket_readable(conn, client)

    def on_pending_socket_readable(self, conn: Any, client: socket.socket) -> None:
        """More bytes of a head, or its end."""
        if self.cfg.is_ssl:
            super().on_pending_socket_readable(conn, client)
            return
        try:
            piece = client.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        conn.head += piece
        is_whole = END in conn.head
        if piece and not is_whole and len(conn.head) < MOST_BYTES:
            return
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        if piece and is_whole:
            self._hand_over(conn)
        else:
            self._give_up(conn, TOO_LONG if piece else b"")

    def _give_up(self, conn: Any, answer: bytes) -> None:
        with suppress(OSError):
            conn.sock.send(answer)
        self.nr_conns -= 1
        conn.close()

    def _await_head(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        # The loop closes connections whose time has passed.
        conn.timeout = time.monotonic() + deadlines.HEAD_S
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _hand_over(self, conn: Any) -> None:
        conn.data_ready = True
        conn.init()
        conn.parser.unreader.unread(bytes(conn.head))
        self.enqueue_req(conn)
