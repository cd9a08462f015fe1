"""`telemetry up` as a user runs it: a process in a terminal's place, with the Procfile of the project."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from telemetry.local import announcement, ports
from tests.fixtures.services import Services, connect
from tests.ports import free_ports
from tests.waiting import eventually

TELEMETRY = str(Path(sysconfig.get_path("scripts")) / "telemetry")
STARTED_S = 60.0
SECOND_START_S = 30.0
# Names in the command lines of the processes of the Procfile.
BEAT, STREAMER, COLLECTOR, API, FLOWER = " beat", "streamer@%h", "collector@%h", "gunicorn", " flower "


class Up:
    """A running `telemetry up`, its output and its processes."""

    def __init__(
        self, data_dir: Path, *arguments: str, environ: dict[str, str] | None = None, usual_ports: bool = False
    ) -> None:
        self.data_dir = data_dir
        self.port, self.flower_port, *others = free_ports(6)
        self.metrics = dict(zip(("beat", "streamer", "collector", "exporter"), others, strict=True))
        self._log = data_dir.with_name(f"{data_dir.name}-{self.port}.log")
        told = {"FLOWER_PORT": str(self.flower_port)}
        told |= {f"{name.upper()}_METRICS_PORT": str(port) for name, port in self.metrics.items()}
        port = () if usual_ports else ("--port", str(self.port))
        with self._log.open("wb") as log:
            self.process = psutil.Popen(
                [TELEMETRY, "up", "--data-dir", str(data_dir), *port, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | ({} if usual_ports else told) | (environ or {}),
                start_new_session=True,
            )

    def output(self) -> str:
        return self._log.read_text()

    def says(self, text: str, timeout_s: float = STARTED_S) -> None:
        def heard() -> bool:
            assert text in self.output(), self.output()[-4000:]
            return True

        eventually(heard, timeout_s)

    def environment(self) -> dict[str, str]:
        return announcement.environment(self.data_dir, {})

    def processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def find(self, mark: str) -> psutil.Process:
        """The process of the Procfile, not what it has started, whose command line holds a mark."""
        for process in self.process.children():
            # One that has just died is a zombie without a command line.
            with suppress(psutil.NoSuchProcess):
                if mark in " ".join(process.cmdline()):
                    return process
        raise AssertionError(f"no process with {mark!r} runs")

    def status(self, port: int, path: str) -> int:
        return self.answer(port, path)[0]

    def answer(self, port: int, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError as error:
            raise AssertionError(f"port {port} does not answer") from error
        finally:
            connection.close()

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> int:
        """End it; its exit code. Fails if any of its processes stays."""
        processes = self.processes()
        self.process.send_signal(sign)
        code: int = self.process.wait(60)
        _, alive = psutil.wait_procs(processes[1:], timeout=5)
        assert alive == []
        return code


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    made: list[Up] = []

    def start(*arguments: str, data_dir: Path = tmp_path / "state", **more: Any) -> Up:
        made.append(Up(data_dir, *arguments, **more))
        return made[-1]

    yield start
    for one in made:
        with suppress(psutil.NoSuchProcess):
            for process in one.processes():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        one.process.wait(30)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.csv"
    subprocess.run(
        [TELEMETRY, "simulate", "--hosts", "1", "--gpus", "2", "--interval", "5", "--duration", "30", "-o", str(path)],
        check=True,
        capture_output=True,
    )
    return path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A Procfile with nothing in it that takes time."""
    path = tmp_path / "Procfile"
    path.write_text("one: echo one is here; exec sleep 600\n")
    return path


def asked(up: Up, query: str) -> tuple[Any, ...]:
    """What its database answers, in one row."""
    with psycopg.connect(up.environment()["TELEMETRY_DATABASE_URL"]) as connection:
        row: tuple[Any, ...] | None = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row


def stored(up: Up) -> int:
    return int(asked(up, "SELECT count(*) FROM samples")[0])


def gpus(up: Up) -> int:
    """How many GPUs the API knows."""
    status, body = up.answer(up.port, "/api/v1/gpus")
    assert status == 200
    return len(json.loads(body)["items"])


def workers(up: Up) -> set[str]:
    """The names of the workers that Flower sees and that are alive, less their hosts."""
    status, body = up.answer(up.flower_port, "/workers?json=1")
    assert status == 200
    return {each["hostname"].partition("@")[0] for each in json.loads(body)["data"] if each["status"]}


@pytest.mark.timeout(300)
def test_the_whole_system(up: Callable[..., Up], sample: Path) -> None:
    first = up("--csv", str(sample))
    first.says("telemetry is running")
    for line in (
        f"web and API  http://127.0.0.1:{first.port}/",
        f"GPUs         http://127.0.0.1:{first.port}/api/v1/gpus",
        f"Flower       http://127.0.0.1:{first.flower_port}/",
        f"database     telemetry psql --data-dir {first.data_dir}",
        f"sources      {sample}",
        f"state        {first.data_dir}",
        f"logs         {first.data_dir}/log, one file a process",
    ):
        assert line in first.output()
    assert first.status(first.port, "/health") == 200
    assert first.status(first.flower_port, "/healthcheck") == 200
    assert stat.S_IMODE((first.data_dir / announcement.NAME).stat().st_mode) == 0o600

    assert f"prometheus --config.file={first.data_dir}/prometheus.yml" in first.output()
    told = json.loads((first.data_dir / "prometheus.yml").read_text())
    scraped = {job["job_name"]: job["static_configs"][0]["targets"] for job in told["scrape_configs"]}
    for name, port in {**first.metrics, "api": first.port}.items():
        assert scraped[name] == [f"127.0.0.1:{port}"]
        eventually(lambda port=port: first.status(port, "/metrics") == 200, 20)  # type: ignore[misc]

    readings = len(sample.read_text().splitlines()) - 1
    eventually(lambda: stored(first) == readings, 60, what="all readings stored")
    first.says(" rows stored in 10 s (", 15)
    # The way of a batch is not shown, and no line has a second time.
    assert "published first" not in first.output()
    assert "INFO/" not in first.output()
    assert "INFO/MainProcess]" in (first.data_dir / "log/collector.log").read_text()
    assert gpus(first) == 2
    eventually(lambda: workers(first) == {"collector"}, 30)

    for mark in (STREAMER, COLLECTOR, API):
        killed = first.find(mark)
        left = killed.children(recursive=True)
        killed.kill()
        eventually(lambda mark=mark, killed=killed: first.find(mark) != killed, 30)  # type: ignore[misc]
        assert psutil.wait_procs(left, timeout=10)[1] == []
    eventually(lambda: first.status(first.port, "/health") == 200, 30)
    first.says("collector ended (killed by SIGKILL); starting it again in 1 s")

    before = len(first.output())
    server = first.find("valkey-server")
    server.kill()
    first.says("collector | WARNING MainProcess: the broker is lost, and tried again until it answers: ")
    first.says("Valkey died; starting it again in 1 s")
    # An answer of /health may be older than that.
    eventually(lambda: first.find("valkey-server") != server, 30)
    eventually(lambda: first.status(first.port, "/health") == 200, 30)
    lines = first.output()[before:].splitlines()
    for process in ("beat", "streamer", "collector", "api", "exporter", "flower", "up"):
        # What is said of batches, such as one that was stored late, is not about the loss.
        assert sum(f" {process} " in line.partition("|")[0] and "stored" not in line for line in lines) <= 1, lines
    # Its beat is a process of its own.
    assert sum(" uploads " in line.partition("|")[0] for line in lines) <= 2, lines
    assert all(len(line) < 300 for line in lines)

    assert first.interrupt() == 0
    assert "Traceback" not in first.output()
    assert not (first.data_dir / announcement.NAME).exists()
    assert first.environment() == {}

    second = up("--csv", str(sample))
    second.says("telemetry is running", SECOND_START_S)
    assert gpus(second) == 2
    assert stored(second) == readings
    assert second.interrupt(signal.SIGTERM) == 0


def test_a_second_one_is_refused_in_one_line(up: Callable[..., Up], bare: Path) -> None:
    first = up("--procfile", str(bare))
    first.says("one is here")
    second = up("--procfile", str(bare))
    assert second.process.wait(30) == 1
    assert second.output() == (
        f"Error: telemetry up is already running in {first.data_dir} (process {first.process.pid});"
        " stop it, or give another --data-dir\n"
    )
    assert first.interrupt() == 0


def test_servers_of_the_environment_are_used(up: Callable[..., Up], bare: Path, environ: dict[str, str]) -> None:
    running = up("--procfile", str(bare), environ=environ)
    running.says("one is here")
    assert sorted(path.name for path in running.data_dir.iterdir()) == ["lock", "log", "prometheus.yml", announcement.NAME]
    own = {"TELEMETRY_DATA_DIR": running.data_dir, "TELEMETRY_STATE_DIR": running.data_dir / "state"}
    told = environ | {"TELEMETRY_EXPORTER_GPUS": "true"} | {name: str(path) for name, path in own.items()}
    assert running.environment() == told
    with psycopg.connect(environ["TELEMETRY_DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM batches").fetchone() == (0,)
    assert running.interrupt() == 0


def test_other_commands_find_it(up: Callable[..., Up], bare: Path, tmp_path: Path) -> None:
    (tmp_path / "dumps" / "older").mkdir(parents=True)
    (tmp_path / "dumps" / "a.CSV").touch()
    running = up("--procfile", str(bare), "--csv", str(tmp_path / "dumps"), environ={"TELEMETRY_KEY_PREFIX": "mine"})
    running.says("one is here")
    assert running.output().count(": a.CSV, older (2)\n") == 1
    assert running.environment()["TELEMETRY_KEY_PREFIX"] == "mine"
    told = announcement.environment(running.data_dir, {"TELEMETRY_DATABASE_URL_FILE": "x", "TELEMETRY_KEY_PREFIX": "other"})
    directories = {f"TELEMETRY_{name}_DIR" for name in ("DATA", "SPOOL", "STATE")}
    assert set(told) == directories | {"TELEMETRY_BROKER_URL", "TELEMETRY_EXPORTER_GPUS"}
    running.process.kill()
    running.process.wait(10)
    assert (running.data_dir / announcement.NAME).exists()
    eventually(lambda: running.environment() == {})


def test_a_dead_server_is_started_again(up: Callable[..., Up], bare: Path) -> None:
    running = up("--procfile", str(bare))
    running.says("one is here")
    for mark, name in (("bin/postgres", "PostgreSQL"), ("valkey-server", "Valkey")):
        killed = running.find(mark)
        killed.kill()
        running.says(f"{name} died; starting it again in 1 s", 10)
        eventually(lambda mark=mark, killed=killed: running.find(mark) != killed, 20)  # type: ignore[misc]
    assert eventually(lambda: stored_or_none(running) == 0, 20)
    assert running.interrupt() == 0


def test_a_server_that_freezes_is_told_of_once(up: Callable[..., Up], bare: Path) -> None:
    running = up("--procfile", str(bare))
    running.says("one is here")
    for mark, name, directory in (("bin/postgres", "PostgreSQL", "postgres"), ("valkey-server", "Valkey", "valkey")):
        frozen = running.find(mark)
        frozen.suspend()
        running.says(f"{name} has not answered for 1", 30)
        told = telemetry(running, "status")
        assert told.returncode == 1
        assert f"Its log is {running.data_dir}/{directory}/log\n" in told.stdout
        frozen.resume()
        running.says(f"{name} answers again", 20)
        assert running.output().count(f"{name} has not answered") == 1
    assert running.interrupt() == 0


def stored_or_none(up: Up) -> int | None:
    try:
        return stored(up)
    except psycopg.OperationalError:
        return None


def test_a_second_ctrl_c_kills(up: Callable[..., Up], tmp_path: Path) -> None:
    deaf = tmp_path / "Procfile"
    deaf.write_text("deaf: trap '' TERM; echo one is here; while :; do sleep 0.1; done\n")
    running = up("--procfile", str(deaf))
    running.says("deaf | one is here")
    processes = running.processes()
    running.process.send_signal(signal.SIGINT)
    running.says("stopping, which takes some seconds; Ctrl-C again kills", 10)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(10) == 0
    assert psutil.wait_procs(processes, timeout=5)[1] == []


def test_a_ctrl_c_while_it_starts(up: Callable[..., Up], bare: Path) -> None:
    running = up("--procfile", str(bare))
    eventually((running.data_dir / "postgres/lock").exists, 20)
    assert running.interrupt() == 1
    assert running.output().strip() == "Aborted!"


def test_ports_that_are_taken(up: Callable[..., Up], bare: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = up("--procfile", str(bare), "--port", str(port))
        assert refused.process.wait(30) == 1
        assert refused.output() == f"Error: port {port} is taken; give another one\n"


def test_the_usual_ports_may_be_taken(up: Callable[..., Up], bare: Path) -> None:
    with ExitStack() as stack:
        for port in (5432, 6379, *ports.USUAL.values()):
            # One that cannot be had is taken by others.
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        running = up("--procfile", str(bare), usual_ports=True)
        running.says("one is here")
        running.says("port 8080 is taken, so api uses port ")
        running.says("port 5555 is taken, so flower uses port ")
        assert stored(running) == 0
        assert running.interrupt() == 0


def test_a_role_that_may_create_nothing_is_one_line(
    up: Callable[..., Up], bare: Path, services: Services, empty_database_url: str, environ: dict[str, str]
) -> None:
    url = make_url(empty_database_url)
    role = f"stranger_{url.database}"
    with connect(services) as server:
        server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        named = url.set(username=role).render_as_string(hide_password=False)
        refused = up("--procfile", str(bare), environ=environ | {"TELEMETRY_DATABASE_URL": named})
        assert refused.process.wait(30) == 1
        server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert refused.output().startswith("Error: the database ")
    assert "permission denied" in refused.output()
    assert "Traceback" not in refused.output()


@pytest.mark.timeout(180)
def test_the_real_export_goes_through_up(up: Callable[..., Up], real_csv: Path) -> None:
    running = up("--csv", str(real_csv))
    running.says("telemetry is running")
    exact = "SELECT sum(stored) = 2470 AND sum(rows) = 2470 FROM batches"
    eventually(lambda: asked(running, exact) == (True,), 60)
    for again in (False, True):
        if again:
            assert telemetry(running, "ingest", str(real_csv), "--timeout", "60").returncode == 0
        verified = telemetry(running, "verify", "--json", str(real_csv))
        told = json.loads(verified.stdout)
        counts = {name: count for name, count in told.items() if count and name != "owners"}
        assert not any(told["owners"].values())
        assert (verified.returncode, counts) == (0, {"read": 2470, "stored": 2470})
        assert asked(running, "SELECT count(*) FROM samples") == (2470,)
    assert asked(running, "SELECT count(*), count(DISTINCT host), (SELECT count(*) FROM series) FROM gpus") == (247, 31, 2470)
    assert running.interrupt() == 0


def telemetry(up: Up, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Another command on what runs."""
    command = [TELEMETRY, *arguments, "--data-dir", str(up.data_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_a_setting_that_cannot_be_used(up: Callable[..., Up], bare: Path) -> None:
    refused = up("--procfile", str(bare), environ={"TELEMETRY_BATCH_SIZE": "many"})
    assert refused.process.wait(30) == 1
    assert refused.output() == "Error: TELEMETRY_BATCH_SIZE 'many' must be a whole number\n"


def test_no_password_is_shown(up: Callable[..., Up], bare: Path) -> None:
    url = "postgresql://somebody:secret@127.0.0.1:1/telemetry"
    refused = up("--procfile", str(bare), environ={"TELEMETRY_DATABASE_URL": url})
    assert refused.process.wait(30) == 1
    assert "somebody:***@127.0.0.1:1/telemetry cannot be used: " in refused.output()
    assert "secret" not in refused.output()
    assert "Traceback" not in refused.output()


def test_a_file_that_is_not_there_is_bad_usage(up: Callable[..., Up], tmp_path: Path) -> None:
    refused = up("--csv", str(tmp_path / "none.csv"))
    assert refused.process.wait(30) == 2
    assert "none.csv" in refused.output()


@pytest.mark.skipif(shutil.which("head") is None, reason="needs head")
def test_an_output_that_nobody_reads_ends_it(tmp_path: Path, bare: Path) -> None:
    port, flower_port = free_ports(2)
    command = f"FLOWER_PORT={flower_port} {TELEMETRY} up --port {port} --data-dir {tmp_path}/state --procfile {bare} | head -1"
    ran = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "one is here" in ran.stdout
    assert ran.stderr == ""


def test_what_is_announced_is_told_in_json(up: Callable[..., Up], bare: Path) -> None:
    running = up("--procfile", str(bare))
    running.says("one is here")
    told = json.loads((running.data_dir / announcement.NAME).read_text())
    assert told["pid"] == running.process.pid
    assert told["urls"] == {
        "api": f"http://127.0.0.1:{running.port}",
        "flower": f"http://127.0.0.1:{running.flower_port}",
    }
    assert running.interrupt() == 0
