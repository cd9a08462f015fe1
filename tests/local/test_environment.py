"""What `telemetry up` decides before it starts anything: environment, servers, ports, and what it tells."""

from __future__ import annotations

import glob
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import resources
from telemetry.local import environment, ports, scraping
from telemetry.local.start_order import read_procfile
from telemetry.local.welcome import welcome
from telemetry.settings import Settings, SettingsError
from tests.rules import rules

URLS = {"api": "http://127.0.0.1:1", "flower": "http://127.0.0.1:2"}


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_sources_are_absolute_patterns_that_match_the_very_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = Path("odd [1]*?.csv")
    odd.touch()
    Path("many").mkdir()
    Path("many/a.csv").touch()
    Path("many/b.csv.gz").touch()
    made = Settings.load(environment.environment({}, [odd, Path("many")], None, replay=False))
    files = [path for pattern in made.sources for path in glob.glob(pattern)]  # noqa: PTH207
    assert files == [str(tmp_path / odd), str(tmp_path / "many/a.csv"), str(tmp_path / "many/b.csv.gz")]


def test_a_comma_in_a_path_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^--csv a,b\.csv has a comma"):
        environment.environment({}, [Path("a,b.csv")], None, replay=False)


def test_uploads_are_found_whatever_the_directory_is_called(tmp_path: Path) -> None:
    odd = tmp_path / "odd [1]*?"
    made = environment.environment({}, [], odd, replay=False)
    spool = odd / "spool"
    spool.mkdir(parents=True)
    (spool / "a.csv").touch()
    assert glob.glob(made[environment.UPLOADS]) == [str(spool / "a.csv")]  # noqa: PTH207
    line = read_procfile(resources.path("Procfile"))["uploads"].partition("celery ")[0] + "printenv TELEMETRY_SOURCES"
    told = subprocess.run(["/bin/sh", "-c", line], env=made, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == made[environment.UPLOADS]
    with pytest.raises(SettingsError, match="has a comma"):
        environment.environment({}, [], Path("a,b"), replay=False)


def test_options_win_over_the_environment(tmp_path: Path) -> None:
    given_ = {"TELEMETRY_SOURCES": "x.csv", "TELEMETRY_ROLE": "edge", "TELEMETRY_DATA_DIR": "elsewhere", "PATH": "/bin"}
    kept = Settings.load(environment.environment(given_, [], None, replay=False))
    assert (kept.sources, kept.role, kept.data_dir, kept.loop_mode) == (("x.csv",), "central", Path.cwd() / "elsewhere", False)
    told = Settings.load(environment.environment(given_, [tmp_path / "y.csv"], tmp_path, replay=True))
    assert (told.sources, told.data_dir, told.loop_mode) == ((f"{tmp_path}/y.csv",), tmp_path, True)
    assert environment.environment(given_, [], None, replay=False)["PATH"].endswith(":/bin")


@pytest.mark.parametrize(
    ("environ", "needed"),
    [
        ({}, ["TELEMETRY_DATABASE_URL", "TELEMETRY_BROKER_URL"]),
        ({"TELEMETRY_DATABASE_URL": "x"}, ["TELEMETRY_BROKER_URL"]),
        ({"TELEMETRY_BROKER_URL_FILE": "x"}, ["TELEMETRY_DATABASE_URL"]),
        ({"TELEMETRY_DATABASE_URL_FILE": "x", "TELEMETRY_BROKER_URL": "x"}, []),
    ],
)
def test_only_the_servers_that_nobody_provides(environ: dict[str, str], needed: list[str], tmp_path: Path) -> None:
    assert list(environment.servers(environ, tmp_path).values()) == needed


def test_a_taken_port_gives_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(listening()) as server:
        taken = server.getsockname()[1]
        monkeypatch.setitem(ports.USUAL, "api", taken)
        chosen = ports.choose({})
        assert chosen["api"] > taken
        with pytest.raises(ports.PortTakenError, match=f"^port {taken} is taken; give another one$"):
            ports.choose({"api": taken})


def test_a_wildcard_listener_takes_the_port_too() -> None:
    with closing(socket.create_server(("", 0))) as server:
        assert not ports.is_free(server.getsockname()[1])


@given(st.integers(20_000, 60_000))
def test_two_names_never_share_a_port(port: int) -> None:
    with pytest.raises(ports.PortTakenError, match="wanted twice"):
        ports.choose({"api": port, "flower": port})


def test_nothing_answers_on_a_closed_port() -> None:
    with closing(listening()) as server:
        port = server.getsockname()[1]
    assert not ports.answers(port, "/")


def test_the_welcome_shows_no_password() -> None:
    url = "postgresql://somebody:secret@db.example:5433/telemetry?sslmode=require"
    shown = welcome(
        Settings.load({"TELEMETRY_DATABASE_URL": url}), URLS, Path("/state/prometheus.yml"), Path("/state/log")
    ).block
    assert "secret" not in shown


def test_prometheus_can_use_the_configuration(tmp_path: Path, promtool: str) -> None:
    written = scraping.write(tmp_path, {"beat": 9101, "api": 8080}, is_open=True)
    done = subprocess.run([promtool, "check", "config", written], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout


@pytest.mark.parametrize(("given", "shown"), [({}, True), ({"TELEMETRY_EXPORTER_GPUS": "false"}, False)])
def test_the_exporter_shows_gpus_unless_somebody_turned_it_off(given: dict[str, str], shown: bool, tmp_path: Path) -> None:
    environ = environment.environment(given, [], tmp_path, replay=False)
    assert Settings.load(environ).exporter_gpus is shown
