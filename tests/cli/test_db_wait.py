"""`telemetry db … --wait`: what it waits for, what it says meanwhile, and that SIGTERM ends it."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from telemetry.store import migrate
from tests.fixtures.processes import Start
from tests.launching import BIN
from tests.ports import free_port
from tests.waiting import eventually


@pytest.fixture
def said(tmp_path: Path) -> Callable[[str], bool]:
    """Whether a started command has said a text."""
    return lambda text: any(text in log.read_text() for log in tmp_path.glob("*.log"))


def nowhere(url: str) -> str:
    """The URL of a server that does not answer."""
    away = make_url(url).set(host="127.0.0.1", port=free_port(), query={})
    return away.render_as_string(hide_password=False)


def test_current_waits_for_the_schema(start: Start, empty_database_url: str, said: Callable[[str], bool]) -> None:
    waiting = start("telemetry", "db", "current", "--wait", TELEMETRY_DATABASE_URL=empty_database_url)
    eventually(lambda: said("waiting for the database: it is at base"), 30, what="it says what it waits for")
    assert waiting.poll() is None
    upgrade = start("telemetry", "db", "upgrade", "--wait", TELEMETRY_DATABASE_URL=empty_database_url)
    assert upgrade.wait(60) == 0
    assert waiting.wait(30) == 0
    engine = create_engine(make_url(empty_database_url).set(drivername="postgresql+psycopg"))
    assert migrate.current(engine) == migrate.head()
    engine.dispose()


@pytest.mark.parametrize("command", ["current", "upgrade"])
def test_a_database_that_is_away_is_waited_for_until_sigterm(
    command: str, start: Start, empty_database_url: str, said: Callable[[str], bool]
) -> None:
    waiting = start("telemetry", "db", command, "--wait", TELEMETRY_DATABASE_URL=nowhere(empty_database_url))
    eventually(lambda: said("waiting for the database: connection failed"), 30, what="it says what it waits for")
    assert waiting.poll() is None
    waiting.terminate()
    assert waiting.wait(5) == 128 + signal.SIGTERM


@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-pf", "true"], check=False, capture_output=True).returncode != 0,
    reason="no right to make a namespace of processes",
)
def test_sigterm_ends_it_as_process_1_of_a_container(empty_database_url: str, environ: dict[str, str], tmp_path: Path) -> None:
    surroundings = environ | {"TELEMETRY_DATABASE_URL": nowhere(empty_database_url)}
    log = tmp_path / "1.log"
    # The shell outside tells the process inside, whose number outside is that of the child of unshare.
    with log.open("wb") as out:
        outer = subprocess.Popen(
            ["unshare", "-pf", str(BIN / "telemetry"), "db", "current", "--wait"], env=surroundings, stderr=out, cwd=tmp_path
        )
    try:
        eventually(lambda: "waiting for the database" in log.read_text(), 30, what="it waits")
        (child,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        subprocess.run(["kill", "-TERM", child], check=True)
        assert outer.wait(5) == 128 + signal.SIGTERM
    finally:
        outer.kill()
        outer.wait()
