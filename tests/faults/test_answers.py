"""While one part is away or frozen each other part answers within 5 s, and says which part it is.

With `-s` the measured table is printed. The test strikes one part after the other of one system and heals it in between.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import httpx
import pytest

from tests.faults.site import Site, kill_tree, site
from tests.fixtures.processes import send
from tests.launching import BIN
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.slow
ANSWER_S = 5.0
BACK_S = 10.0
READS = ("gpus?limit=1", "stats", "hosts", "edges")
# What a process says of a lost part: a warning or worse, or more than a line.
NOISE = re.compile(r"WARNING|ERROR|CRITICAL|Traceback|^Celery|^\s", re.MULTILINE)


class Stroke(NamedTuple):
    """What is done to the system and undone; what `/health` says of each part, what reads answer, what `status` shows."""

    strike: Callable[[Site], None]
    heal: Callable[[Site], None]
    faults: dict[str, str]
    reads: set[int]
    shows: tuple[str, ...]


def end_edge(running: Site) -> None:
    for process in running.edge:
        kill_tree(process.pid)
        process.wait()


STROKES = {
    "broker killed": Stroke(
        lambda running: running.valkey.kill(),
        lambda running: running.valkey.start(),
        {"broker": "unreachable"},
        {200},
        ("broker    NO ANSWER: cannot reach the broker ", "database  ok", "flow  "),
    ),
    "broker frozen": Stroke(
        lambda running: send(running.valkey, signal.SIGSTOP),
        lambda running: send(running.valkey, signal.SIGCONT),
        {"broker": "not answering"},
        {200},
        ("broker    NO ANSWER: the broker does not answer within 2 s", "database  ok", "flow  "),
    ),
    "Postgres killed": Stroke(
        lambda running: running.postgres.kill(),
        lambda running: running.postgres.start(),
        {"database": "unreachable"},
        {503},
        ("database  NO ANSWER: cannot reach the database ", "broker    ok", "queue  ", "source  "),
    ),
    "Postgres frozen": Stroke(
        lambda running: send(running.postgres, signal.SIGSTOP),
        lambda running: send(running.postgres, signal.SIGCONT),
        {"database": "not answering"},
        {503},
        ("database  NO ANSWER: the database does not answer within 2 s", "broker    ok", "queue  ", "source  "),
    ),
    "edge ended": Stroke(
        end_edge,
        lambda running: running.tend(),
        {},
        {200},
        ("edge      fault/edge: ", "  SILENT for ", "broker    ok", "database  ok"),
    ),
}


@dataclass
class System:
    """A system with an API, and what it has logged."""

    site: Site
    url: str

    def health(self) -> tuple[int, dict[str, Any]]:
        answer = httpx.get(f"{self.url}/health", timeout=30)
        return answer.status_code, answer.json()

    def is_well(self) -> bool:
        try:
            return self.health()[0] == httpx.codes.OK
        except httpx.TransportError:
            return False

    def read(self, path: str) -> tuple[int, str]:
        answer = httpx.get(f"{self.url}/api/v1/{path}", timeout=30)
        return answer.status_code, answer.text

    def status(self) -> tuple[int, str]:
        done = subprocess.run(
            [BIN / "telemetry", "status"],
            env={**os.environ, **self.site.variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout

    def logs(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self.site.directory.glob("*.log")}

    def noise(self, before: dict[Path, int]) -> dict[str, list[str]]:
        """The lines of trouble that each process has written since."""
        said = {path.name: path.read_bytes()[size:].decode(errors="replace").splitlines() for path, size in before.items()}
        return {name: [line for line in lines if NOISE.search(line)] for name, lines in said.items()}


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with site(collectors=1, processes=1) as running:
        port = free_port()
        server = ("gunicorn", "--config", "python:telemetry.api.gunicorn_conf", "--bind", f"127.0.0.1:{port}")
        api = running.start_process(
            "api",
            *(*server, "--workers", "2", "--threads", "8", "--no-control-socket", "telemetry.api:create_app()"),
            TELEMETRY_API_ACCESS="open",
        )
        made = System(running, f"http://127.0.0.1:{port}")
        try:
            running.feed(200)
            running.wait_for_flow(100)
            eventually(made.is_well, 30, what="the API is well")
            yield made
        finally:
            kill_tree(api.pid)
            api.wait()


def timed(ask: Callable[[], tuple[int, Any]]) -> tuple[float, int, Any]:
    begun = time.monotonic()
    code, answer = ask()
    return time.monotonic() - begun, code, answer


@pytest.mark.parametrize("name", STROKES)
def test_each_part_answers_within_seconds_and_says_what_is_wrong(system: System, name: str) -> None:
    stroke = STROKES[name]
    with ThreadPoolExecutor(16) as threads:
        # Both workers have connections to what is struck then.
        assert {system.read(path)[0] for path in READS * 4} == {200}
        before = system.logs()
        stroke.strike(system.site)
        health = threads.submit(timed, system.health)
        reads = [threads.submit(timed, partial(system.read, path)) for path in READS * 2]
        if not stroke.faults:
            # It is silent once the next sign of life is overdue.
            eventually(lambda: "SILENT" in system.status()[1], 20)
        status_s, status_code, status = timed(system.status)
        health_s, health_code, parts = health.result()
        answers = [read.result() for read in reads]
    stroke.heal(system.site)
    begun = time.monotonic()
    eventually(system.is_well, 30, every_s=0.1, what="/health is well again")
    back_s = time.monotonic() - begun
    system.site.wait_for_flow(100)
    read_s = max(wait_s for wait_s, _, _ in answers)
    click.echo(
        f"| {name} | {health_code} {stroke.faults or ''}, {health_s:.2f} s | {answers[0][1]}, {read_s:.2f} s"
        f" | {status_s:.2f} s | {back_s:.1f} s |"
    )
    assert max(health_s, read_s, status_s) < ANSWER_S
    assert back_s < BACK_S
    assert health_code == (503 if stroke.faults else 200)
    assert {part: parts[part]["status"] for part in ("database", "broker")} == {
        "database": "ok",
        "broker": "ok",
        **stroke.faults,
    }
    assert all(parts[part].keys() >= {"since", "mend"} for part in stroke.faults)
    assert {code for _, code, _ in answers} == stroke.reads
    assert all("database_unavailable" in text for _, code, text in answers if code == httpx.codes.SERVICE_UNAVAILABLE)
    assert status_code == bool(stroke.faults), status
    assert all(text in status for text in stroke.shows), status
    if "broker" in stroke.faults:
        # Each worker of the API is a process.
        noise = {process: lines for process, lines in system.noise(before).items() if len(lines) > 1 + ("api" in process)}
        assert noise == {}
