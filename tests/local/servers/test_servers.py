"""The embedded servers: real ones, in every kind of directory and under every kind of user, through crashes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from telemetry import broker
from telemetry.local.servers import Postgres, ServerError, Valkey
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine
from tests.waiting import eventually

START = """
import sys, time
from pathlib import Path
from telemetry.local.servers import Postgres, Valkey
directory = Path(sys.argv[1])
with Postgres(directory / "postgres") as postgres, Valkey(directory / "valkey") as valkey:
    print(postgres.pid, valkey.pid, flush=True)
    sys.stdin.readline()
"""
NAMESPACE = ["unshare", "--user"]


@pytest.fixture(params=["open", "closed"])
def directory(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory that other users can reach, and one that they cannot: root's Postgres runs differently in the two."""
    with tempfile.TemporaryDirectory(prefix="telemetry-embedded-") as name:
        Path(name).chmod(0o755 if request.param == "open" else 0o700)
        yield Path(name)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="telemetry-embedded-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def ask(postgres: Postgres, statement: str) -> object:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def settings(postgres: Postgres, valkey: Valkey) -> Settings:
    return Settings.load({"TELEMETRY_DATABASE_URL": postgres.url, "TELEMETRY_BROKER_URL": valkey.url})


def family(pid: int | None) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_postgres_runs_and_keeps_its_data(directory: Path) -> None:
    with Postgres(directory / "pg") as postgres:
        assert psutil.Process(postgres.pid).uids().effective == (directory / "pg/data").stat().st_uid
        assert ask(postgres, "SHOW server_version_num") >= "180000"  # type: ignore[operator]
        found = ask(
            postgres,
            "SELECT row(current_database(), pg_encoding_to_char(encoding), datcollate)::text"
            " FROM pg_database WHERE datname = current_database()",
        )
        assert found == "(telemetry,UTF8,C)"
        ask(postgres, "CREATE TABLE kept AS SELECT 1")
        processes = family(postgres.pid)
    assert gone(processes)
    with Postgres(directory / "pg") as postgres:
        assert ask(postgres, "SELECT count(*) FROM kept") == 1


def test_nothing_is_traded_for_speed_unless_asked_for(open_directory: Path) -> None:
    with Postgres(open_directory / "pg") as postgres:
        assert {ask(postgres, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")} == {"on"}
    with Postgres(open_directory / "pg", {"fsync": "off"}) as postgres:
        assert ask(postgres, "SHOW fsync") == "off"


def test_valkey_runs_and_keeps_its_keys(directory: Path) -> None:
    for expected in (None, b"here"):
        with Valkey(directory / "vk", {"databases": "20"}) as valkey:
            loaded = Settings.load({"TELEMETRY_BROKER_URL": valkey.url.replace("host=0", "host=19")})
            with broker.connect(loaded) as client:
                assert client.get("key") == expected
                client.set("key", "here")
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_migrations_run_on_it(open_directory: Path) -> None:
    with Postgres(open_directory / "pg") as postgres, Valkey(open_directory / "vk") as valkey:
        engine = make_engine(settings(postgres, valkey), application="test")
        migrate.upgrade(engine)
        assert migrate.current(engine) == migrate.head()
        engine.dispose()


def test_no_port_is_opened_and_a_ctrl_c_does_not_reach_them(open_directory: Path) -> None:
    with Postgres(open_directory / "pg") as postgres, Valkey(open_directory / "vk") as valkey:
        for pid in (postgres.pid, valkey.pid):
            assert pid is not None
            sockets = [c for process in family(pid) for c in process.net_connections("inet")]
            assert sockets == []
            assert os.getsid(pid) == pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows other processes' environment")
def test_they_do_not_inherit_our_secrets(open_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEMETRY_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    with Postgres(open_directory / "pg") as postgres, Valkey(open_directory / "vk") as valkey:
        for pid in (postgres.pid, valkey.pid):
            assert set(psutil.Process(pid).environ()) <= {
                "PATH",
                "LC_ALL",
                "TZ",
                "PG_GRANDPARENT_PID",
                "PG_OOM_ADJUST_FILE",
            }


@pytest.mark.parametrize("name", ["x" * 90, "with space, comma and 100%"])
def test_a_path_that_no_socket_address_takes(open_directory: Path, name: str) -> None:
    directory = open_directory / name
    with Postgres(directory / "pg") as postgres, Valkey(directory / "vk") as valkey:
        places = [(directory / kind / "run").readlink() for kind in ("pg", "vk")]
        for place in places:
            assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert ask(postgres, "SELECT 1") == 1
        with broker.connect(settings(postgres, valkey)) as client:
            assert client.ping()
    assert not any(place.exists() for place in places)


def test_a_second_one_in_the_same_directory_is_refused(open_directory: Path, starter: Callable[[Path], Starter]) -> None:
    owner = starter(open_directory)
    for server in (Postgres(open_directory / "postgres"), Valkey(open_directory / "valkey")):
        with pytest.raises(ServerError) as refusal:
            server.start()
        assert str(refusal.value) == (
            f"{server.name} is already running in {server.directory} (process {owner.process.pid});"
            " stop it first, or choose another data directory"
        )
    assert not gone(owner.servers)


class Starter:
    """Another process that owns both servers."""

    def __init__(self, directory: Path, prefix: list[str]) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", START, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        pids = self.process.stdout.readline().split()
        assert len(pids) == 2, "the servers did not start"
        self.servers = [process for pid in pids for process in family(int(pid))]

    def stop(self) -> int:
        """Let it stop them, and end; its exit code."""
        self.process.communicate("\n", timeout=30)
        return self.process.returncode


@pytest.fixture
def starter() -> Iterator[Callable[..., Starter]]:
    made: list[Starter] = []

    def start(directory: Path, prefix: list[str] | None = None) -> Starter:
        made.append(Starter(directory, prefix or []))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.stop()
        for pipe in (one.process.stdin, one.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere servers outlive an owner that is killed")
def test_an_owner_that_is_killed_leaves_nothing_in_the_way(directory: Path, starter: Callable[[Path], Starter]) -> None:
    owner = starter(directory)
    owner.process.kill()
    owner.process.wait()
    with Postgres(directory / "postgres") as postgres, Valkey(directory / "valkey"):
        assert ask(postgres, "SELECT 1") == 1
        assert gone(owner.servers)
    assert eventually(lambda: gone(owner.servers))


def test_a_server_that_is_killed_starts_again(directory: Path) -> None:
    with Postgres(directory / "pg") as postgres, Valkey(directory / "vk", {"appendfsync": "always"}) as valkey:
        ask(postgres, "CREATE TABLE kept AS SELECT 1")
        with broker.connect(settings(postgres, valkey)) as client:
            client.set("key", "here")
        for server in (postgres, valkey):
            url, pid = server.url, server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            eventually(lambda server=server: server.pid is None)  # type: ignore[misc]
            server.start()
            assert server.url == url
        assert ask(postgres, "SELECT count(*) FROM kept") == 1
        with broker.connect(settings(postgres, valkey)) as client:
            assert client.get("key") == b"here"


def test_kill_ends_it_with_all_its_children(open_directory: Path) -> None:
    with Postgres(open_directory / "pg") as postgres:
        processes = family(postgres.pid)
        assert len(processes) > 1
        postgres.kill()
        eventually(lambda: gone(processes))


def test_a_pid_file_whose_pid_is_another_process_now(open_directory: Path) -> None:
    directory = open_directory / "pg"
    with Postgres(directory) as postgres:
        pid_file = (directory / "data/postmaster.pid").read_text()
        owner = psutil.Process(postgres.pid).uids().real
    as_owner = {"user": owner} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], **as_owner) as other:  # type: ignore[call-overload]
        (directory / "data/postmaster.pid").write_text(f"{other.pid}\n{pid_file.partition(chr(10))[2]}")
        try:
            with Postgres(directory) as postgres:
                assert ask(postgres, "SELECT 1") == 1
        finally:
            other.kill()


def test_an_initdb_that_was_cut_off(open_directory: Path) -> None:
    (open_directory / "pg/data.new/base").mkdir(parents=True)
    (open_directory / "pg/data.new/PG_VERSION").write_text("18\n")
    with Postgres(open_directory / "pg") as postgres:
        assert ask(postgres, "SELECT 1") == 1


def test_stale_sockets_are_no_obstacle(open_directory: Path) -> None:
    for kind, name in (("pg", ".s.PGSQL.5432"), ("vk", "valkey.sock")):
        (open_directory / kind / "run").mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(open_directory / kind / "run" / name))
    (open_directory / "pg/run/.s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    with Postgres(open_directory / "pg") as postgres, Valkey(open_directory / "vk") as valkey:
        assert ask(postgres, "SELECT 1") == 1
        with broker.connect(settings(postgres, valkey)) as client:
            assert client.ping()


@pytest.mark.parametrize("kind", [Postgres, Valkey])
def test_one_that_cannot_start_says_why(open_directory: Path, kind: type[Postgres | Valkey]) -> None:
    broken = kind(open_directory / "it", {"no_such_option": "1"})
    with pytest.raises(ServerError, match=r"did not start in .*no_such_option"):
        broken.start()
    assert broken.pid is None
    with kind(open_directory / "it"):
        pass


def test_a_file_in_the_way_is_one_clear_line(open_directory: Path) -> None:
    (open_directory / "it").write_text("")
    for server in (Postgres(open_directory / "it"), Valkey(open_directory / "it")):
        with pytest.raises(ServerError, match=r"cannot be started in .*/it: .*File exists"):
            server.start()


@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="only root on Linux can play other users")
@pytest.mark.parametrize("uid", [65534, 12345], ids=["an ordinary user", "a user without a name"])
def test_other_users_than_root(open_directory: Path, starter: Callable[..., Starter], uid: int) -> None:
    owner = starter(open_directory, [*NAMESPACE, f"--map-user={uid}", f"--map-group={uid}", "--"])
    assert owner.stop() == 0
    assert json.loads((open_directory / "postgres/lock").read_text()) == owner.process.pid
    assert gone(owner.servers)
