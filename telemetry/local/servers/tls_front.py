"""TLS before the embedded broker, which is built without it: a process of its own, on a port of this machine."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from telemetry.local import ports
from telemetry.local.certificates import Certificates
from telemetry.local.servers.server import Server, ServerError
from telemetry.local.servers.valkey import Valkey

PORT = 6380
PORTS_TRIED = 5


class TlsFront(Server):
    """Takes connections with TLS for a broker, from clients that show a certificate of the same authority."""

    name = "TLS"
    farewell: ClassVar = ((signal.SIGTERM, 5.0),)

    def __init__(self, directory: Path, valkey: Valkey, certificates: Certificates) -> None:
        super().__init__(directory)
        self._valkey, self._certificates = valkey, certificates
        self._port = 0

    @property
    def url(self) -> str:
        """The URL of database 0. Its port is chosen at the first start, and stays."""
        return f"rediss://{ports.HOST}:{self._port}/0"

    def start(self) -> None:
        """Start it. At its first start it takes another port where somebody has taken the one that was free just before."""
        for _ in range(0 if self._port else PORTS_TRIED):
            try:
                super().start()
            except ServerError:
                if ports.is_free(self._port):
                    raise
                self._port = 0
            else:
                return
        super().start()

    def _command(self) -> tuple[Sequence[str], dict[str, Any]]:
        self._port = self._port or ports.free_port(PORT)
        files = (self._certificates.authority, self._certificates.server.certificate, self._certificates.server.key)
        place = (ports.HOST, str(self._port), str(self._valkey.socket))
        # As a script: it needs nothing of the package, and the environment of a server does not say where that lies.
        return [sys.executable, "-I", str(Path(__file__).with_name("tls_end.py")), *place, *map(str, files)], {}

    def answers(self) -> bool:
        """Whether the broker answers behind it; it may take 5 s to say no."""
        client = self._certificates.client
        with redis.Redis.from_url(
            self.url,
            ssl_ca_certs=str(self._certificates.authority),
            ssl_certfile=str(client.certificate),
            ssl_keyfile=str(client.key),
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
        ) as broker:
            try:
                return bool(broker.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def _clean(self) -> None:
        """It leaves nothing."""
