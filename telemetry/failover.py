"""Connections to the broker that leave a server which has become a replica.

After a failover the name of the broker leads to another server, but the former one may live on and keep its connections. It
answers each write with READONLY, for ever. So that answer ends the connection, and counts as its loss: clients and kombu
connect again by themselves, and the name then leads to the new server. `broker` and `transport` use these classes.

Where sentinels tell the name of the primary, each new connection goes to the one that they name at that moment, and one to
another server is left when it is used again.
"""

from __future__ import annotations

from typing import Any

import redis
from redis.connection import AbstractConnection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ReadOnlyError, ResponseError

from telemetry import forks
from telemetry.sentinels import Sentinels

# What a server says to those who wait for a message when it becomes a replica.
UNBLOCKED = "UNBLOCKED"


class Leaving(AbstractConnection):
    """A connection that ends when its server takes no writes any more. `sentinels` say where it leads, if there are any."""

    def __init__(self, *args: Any, sentinels: Sentinels | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sentinels = sentinels
        forks.remember(self)

    def connect(self) -> None:
        """Connect, if it is not connected. Raises ConnectionError."""
        if self.is_outdated:
            self.disconnect()  # type: ignore[no-untyped-call]
        super().connect()  # type: ignore[no-untyped-call]

    @property
    def is_outdated(self) -> bool:
        """Whether another connection has learnt of a failover, and this one leads to the former primary."""
        return bool(self._sentinels and self._sentinels.named not in {None, self.place()})

    def place(self) -> tuple[str, int]:
        """The host and port that it leads to, of one over the network."""
        return getattr(self, "host", ""), getattr(self, "port", 0)

    def _connect(self) -> Any:
        if self._sentinels:
            self.host, self.port = self._sentinels.primary()
        return super()._connect()  # type: ignore[no-untyped-call, safe-super]

    def read_response(self, *args: Any, **options: Any) -> Any:
        """The next answer. Raises ConnectionError if it says that the server has become a replica."""
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            if not isinstance(error, ReadOnlyError) and not str(error).startswith(UNBLOCKED):
                raise
            self.disconnect()  # type: ignore[no-untyped-call]
            raise redis.ConnectionError(f"the broker has become a replica: {error}") from error


class Tcp(Leaving, redis.Connection):
    """Over TCP."""


class Tls(Leaving, SSLConnection):
    """Over TLS."""


class Unix(Leaving, UnixDomainSocketConnection):
    """Over a Unix socket."""


BY_SCHEME = {"redis": Tcp, "rediss": Tls, "unix": Unix}
