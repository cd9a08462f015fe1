"""What the child of a fork lets go of: the sockets by which its parent is connected to the broker.

A socket that two processes hold stays in the epoll of the first one after that has closed it. There it looks ready for ever,
under the number of the connection that is opened next (epoll(7), question 6 of its last part). kombu's loop then reads from
that connection, to which nothing has come, and waits without end. A process of a pool that takes the place of one that died
is such a child.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any
from weakref import WeakSet

_connections: WeakSet[Any] = WeakSet()


def remember(connection: Any) -> None:
    """From now on children of this process close the socket of this connection of redis-py, which they never use."""
    _connections.add(connection)


def _let_go() -> None:
    """Close, and no more: what would be sent at an orderly end is the parent's to send."""
    for connection in list(_connections):
        socket = connection._sock  # noqa: SLF001 - redis-py has no other way to close it without telling the server
        if socket is not None:
            with suppress(OSError):
                socket.close()


os.register_at_fork(after_in_child=_let_go)
