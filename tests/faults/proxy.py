"""A TCP proxy in front of a Unix socket or a port of this machine, that can behave as badly as a network between two clusters.

It can cut what is open, refuse what comes, be slow, and go silent. Silence is the worst of them: bytes are taken and lead
nowhere, no end of a connection is told to the other side, and a connection that was silenced once stays so after the
proxy has healed, as behind a middlebox that forgot it. The kernel goes on acknowledging packets meanwhile, so only
a client's own deadlines can find out; keepalives and `tcp_user_timeout` can not.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

CHUNK_BYTES = 1 << 16
# A close with this option sends a reset instead of an end: the peer learns of it in the middle of a read.
RESET = struct.pack("ii", 1, 0)


class Link:
    """One connection through the proxy, carried by two threads; `server` is None if it was silent from the start."""

    def __init__(self, client: socket.socket, server: socket.socket | None) -> None:
        self.client = client
        self.server = server
        self.silent = server is None

    def close(self) -> None:
        """Reset both ends."""
        for end in filter(None, (self.client, self.server)):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            # Wakes the thread that reads from it; a close alone would not.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Listens on a free port of the loopback interface while it is started; `target` is the path or the port to lead to."""

    def __init__(self, target: Callable[[], Path | int]) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._links: set[Link] = set()
        self._listener: socket.socket | None = None
        self._silent = False
        self._delay_s = 0.0
        self._bytes_per_s = float("inf")
        self.port = 0
        # Taken in silence, and led nowhere.
        self.swallowed_bytes = 0
        self.listen()

    def listen(self) -> None:
        """Take connections, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def lead_to(self, target: Callable[[], Path | int]) -> Callable[[], Path | int]:
        """Lead elsewhere from now on, as a name does that was changed; where it led before. Nothing that is open stays."""
        before, self._target = self._target, target
        self.cut()
        return before

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        with self._lock:
            links, self._links = self._links, set()
        for link in links:
            link.close()

    def refuse(self) -> None:
        """Reset every connection and take none."""
        if self._listener is not None:
            # Wakes the thread in accept.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def silence(self) -> None:
        """Go half-open: take connections and bytes, forward nothing. The links of now and of meanwhile stay so."""
        with self._lock:
            self._silent = True
            for link in self._links:
                link.silent = True

    def slow(self, delay_s: float, bytes_per_s: float = float("inf")) -> None:
        """Hold each chunk back for a while, and let only so many bytes pass."""
        self._delay_s, self._bytes_per_s = delay_s, bytes_per_s

    def heal(self) -> None:
        """Be a good proxy to all that comes, and to what was not silenced."""
        with self._lock:
            self._silent = False
        self.slow(0.0)
        if self._listener is None:
            self.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.refuse()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                link = Link(client, None if self._silent else self._connect())
                if link.server is None and not self._silent:
                    link.close()
                    continue
                self._links.add(link)
            ends = [(client, link.server)] if link.server is None else [(client, link.server), (link.server, client)]
            for source, sink in ends:
                threading.Thread(target=self._carry, args=(link, source, sink), daemon=True).start()

    def _connect(self) -> socket.socket | None:
        target = self._target()
        server = socket.socket(socket.AF_INET if isinstance(target, int) else socket.AF_UNIX)
        try:
            server.connect(("127.0.0.1", target) if isinstance(target, int) else str(target))
        except OSError:
            server.close()
            return None
        return server

    def _carry(self, link: Link, source: socket.socket, sink: socket.socket | None) -> None:
        """Bring what comes from one end to the other, until either is closed."""
        with suppress(OSError):
            while chunk := source.recv(CHUNK_BYTES):
                self._hold(len(chunk))
                if link.silent or sink is None:
                    self.swallowed_bytes += len(chunk)
                else:
                    sink.sendall(chunk)
        if not link.silent:
            with self._lock:
                self._links.discard(link)
            link.close()

    def _hold(self, size: int) -> None:
        if self._delay_s or self._bytes_per_s < float("inf"):
            time.sleep(self._delay_s + size / self._bytes_per_s)
