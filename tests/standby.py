"""A Postgres that follows another one by streaming replication."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg

from telemetry.local.servers import Postgres
from tests.waiting import eventually

REPLICATED = {"wal_level": "replica", "max_wal_senders": "4"}
CAUGHT_UP = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"


def socket_directory(server: Postgres) -> str:
    """Where a server listens."""
    return unquote(parse_qs(urlsplit(server.url).query)["host"][0])


def url_of(*servers: Postgres, database: str = "telemetry") -> str:
    """A URL of several servers."""
    return f"postgresql://telemetry@/{database}?host={','.join(map(socket_directory, servers))}"


@contextmanager
def standby(primary: Postgres, directory: Path, options: Mapping[str, str]) -> Iterator[Postgres]:
    """A running standby. The primary, which has the options REPLICATED, is stopped for a moment."""
    follower = Postgres(directory, options)
    primary.stop()
    directory.mkdir(mode=0o700)
    subprocess.run(["cp", "-a", str(primary.directory / "data"), str(directory / "data")], check=True)
    shutil.copystat(primary.directory, directory)
    status = primary.directory.stat()
    os.chown(directory, status.st_uid, status.st_gid)
    primary.start()
    (directory / "data" / "standby.signal").touch()
    with (directory / "data" / "postgresql.auto.conf").open("a") as file:
        file.write(f"primary_conninfo = 'host={socket_directory(primary)} user=telemetry application_name=standby'\n")
    with follower:
        caught_up(primary, follower)
        yield follower


def ask(server: Postgres, statement: LiteralString, *parameters: object) -> object:
    """The first value that a server answers."""
    with psycopg.connect(server.url, autocommit=True, connect_timeout=2) as connection:
        row = connection.execute(statement, parameters).fetchone()
    return row[0] if row else None


def caught_up(primary: Postgres, follower: Postgres) -> None:
    """Wait until a standby has all that its primary has now."""
    position = ask(primary, "SELECT pg_current_wal_lsn()")
    eventually(lambda: ask(follower, CAUGHT_UP, position), 20, what="a standby that has all")


def cut_off(follower: Postgres) -> None:
    """Let a standby get no more."""
    with psycopg.connect(follower.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
        connection.execute("SELECT pg_reload_conf()")
    eventually(lambda: ask(follower, "SELECT count(*) = 0 FROM pg_stat_wal_receiver"), 20, what="a standby without a primary")


def promote(follower: Postgres) -> None:
    """Make a standby the primary."""
    ask(follower, "SELECT pg_promote()")
