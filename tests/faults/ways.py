"""The ways between edge, broker, collectors and database, each through a proxy that can break it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from telemetry.local.servers import Postgres, Valkey
from telemetry.local.servers.tls_front import TlsFront
from tests.faults.proxy import Proxy


@dataclass(frozen=True)
class Network:
    """What lies between the parts, if it is to be broken: a proxy for each way."""

    scheme: str
    edge_to_broker: Proxy
    centre_to_broker: Proxy
    centre_to_database: Proxy

    @classmethod
    def of(cls, postgres: Postgres, valkey: Callable[[], Valkey], front: TlsFront | None, stack: ExitStack) -> Self:
        """Proxies in front of two servers, which may be started again elsewhere; the broker may become another one.

        With `front` the broker is reached by TLS, which ends behind the proxy.
        """

        def broker_socket() -> Path | int:
            return urlsplit(front.url).port or 0 if front else Path(urlsplit(valkey().url).path)

        def database_socket() -> Path:
            return Path(unquote(parse_qs(urlsplit(postgres.url).query)["host"][0])) / ".s.PGSQL.5432"

        targets: tuple[Callable[[], Path | int], ...] = (broker_socket, broker_socket, database_socket)
        proxies = [stack.enter_context(Proxy(target)) for target in targets]
        return cls("rediss" if front else "redis", *proxies)

    def of_edge(self) -> dict[str, str]:
        """What the edge's processes are told."""
        return {"TELEMETRY_BROKER_URL": f"{self.scheme}://127.0.0.1:{self.edge_to_broker.port}/0"}

    def of_centre(self) -> dict[str, str]:
        """What the collectors are told."""
        return {
            "TELEMETRY_BROKER_URL": f"{self.scheme}://127.0.0.1:{self.centre_to_broker.port}/0",
            "TELEMETRY_DATABASE_URL": f"postgresql://telemetry@127.0.0.1:{self.centre_to_database.port}/telemetry",
        }
