"""The front of the API: it keeps slow clients from the threads that answer requests.

Gunicorn gives each connection a thread as soon as a byte has come, so a few requests that are sent half, by anybody, would
occupy all threads, and probes would go unanswered. Here the worker's own loop takes the head of a request, and a small body
with it; a thread comes in once that is whole. What does not come is given up after `deadlines.HEAD_S`. Larger bodies, which
only holders of a key may send, are read in threads: see `telemetry.api.resources.uploads`.

After an answer, gunicorn waits in the thread up to 5 s for a body that nobody read, and in the loop up to 2 s for the client to
close. Here no thread waits for such a body, and the loop waits for many clients at once.
"""

from __future__ import annotations

import re
import socket
import time
from collections import deque
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from telemetry.api.core import deadlines

END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)
# The largest body that is awaited with its head.
SMALL_BYTES = 4096
MOST_BYTES = 128 << 10
TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
PIECE_BYTES = 64 << 10
# Most of what is unread has come already.
UNREAD_BODY_S = 0.05
# An answer has arrived by then.
STOPPING_S = 2.0


def is_whole(begun: bytes | bytearray) -> bool:
    """Whether a request can be handled: its head has come, and a small body too that the client sends unasked."""
    end = begun.find(END)
    if end < 0:
        return False
    head = bytes(begun[: end + 2])
    length = LENGTH.search(head)
    if length is None or EXPECT.search(head) or int(length[1]) > SMALL_BYTES:
        return True
    return len(begun) - end - len(END) >= int(length[1])


class Connection(TConn):  # type: ignore[misc] # gunicorn has no types
    """A connection, the head of its request as far as it has come, and how it lingers."""

    def __init__(self, front: Front, *about: Any) -> None:
        super().__init__(*about)
        self.front = front
        self.head = bytearray()
        self.drained_bytes = 0
        self.since = 0.0

    def close(self, graceful: bool = False) -> None:
        """Close it; gracefully: when the client has, as the kernel takes an answer back if bytes stand unread behind it."""
        if graceful and self.front.linger(self):
            return
        super().close()


class Front(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn's worker with threads, which get requests whose head has come."""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self.lingering = deque[Connection]()

    def accept(self, listener: Any) -> None:
        """Take a connection. With TLS, gunicorn has to begin it in a thread."""
        if self.cfg.is_ssl:
            super().accept(listener)
            return
        with suppress(BlockingIOError, ConnectionAbortedError):
            client, address = listener.accept()
            self.nr_conns += 1
            self._await_head(Connection(self, self.cfg, client, address, listener.getsockname()))

    def finish_request(self, conn: Any, fs: Any) -> None:
        """A request is answered. What came behind it is the beginning of the next one, whose head may not be whole."""
        goes_on = not self.cfg.is_ssl and not fs.cancelled() and fs.exception() is None and fs.result() is True
        if not goes_on or not conn.parser.unreader.buf.getvalue():
            super().finish_request(conn, fs)
            return
        conn.head = bytearray(conn.parser.unreader.take_buffered())
        if is_whole(conn.head):
            self._hand_over(conn)
        else:
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
        if piece and not is_whole(conn.head) and len(conn.head) < MOST_BYTES:
            return
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        if piece and is_whole(conn.head):
            self._hand_over(conn)
        else:
            self._give_up(conn, TOO_LONG if piece else b"")

    def linger(self, conn: Connection) -> bool:
        """Close a connection when the client has, or after a while. False if that cannot be waited for."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))
        except (OSError, KeyError, ValueError):
            return False
        conn.since = time.monotonic()
        self.lingering.append(conn)
        self.nr_conns += 1
        return True

    def murder_pending(self) -> None:
        """Close connections whose time has passed; those that linger have less when the worker stops."""
        super().murder_pending()
        longest_s = deadlines.HEAD_S if self.alive else STOPPING_S
        while self.lingering and self.lingering[0].since + longest_s <= time.monotonic():
            self._let_go(self.lingering[0])

    def _drain(self, conn: Connection, client: socket.socket) -> None:
        try:
            piece = client.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        conn.drained_bytes += len(piece)
        if not piece or conn.drained_bytes > MOST_BYTES:
            self._let_go(conn)

    def _let_go(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        self.lingering.remove(conn)
        self.nr_conns -= 1
        conn.close()

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Whether the connection takes a further request: not if a body is unread that is not there."""
        return keepalive and bool(conn.parser.finish_body(deadline=time.monotonic() + UNREAD_BODY_S))

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
