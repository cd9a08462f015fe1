"""What all commands take alike: --data-dir before and after a command, names that are misspelt, and the help."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from telemetry import lock
from telemetry.cli import COMMANDS, main
from telemetry.local import announcement

TELEMETRY = str(Path(sysconfig.get_path("scripts")) / "telemetry")
Run = Callable[..., subprocess.CompletedProcess[str]]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def running(environ: dict[str, str], tmp_path: Path) -> Path:
    """The data directory of what looks like a `telemetry up` on the test's servers."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / announcement.NAME).write_text(json.dumps({"environment": environ}))
    return directory


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("command", [("deadletter", "list"), ("apikey", "list"), ("db", "current")])
def test_the_data_directory_stands_anywhere(
    running: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    with lock.hold(running):
        result = invoke(*command[:place], "--data-dir", str(running), *command[place:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("place", [0, 1])
def test_it_stands_before_and_after_a_command_without_subcommands(
    running: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.chdir(tmp_path)
    with lock.hold(running):
        result = invoke(*["rewind"][:place], "--data-dir", str(running), *["rewind"][place:])
    assert result.output == "every edge is where the ledger is\n"


def test_the_last_one_counts(running: Path, tmp_path: Path) -> None:
    with lock.hold(running):
        result = invoke("--data-dir", str(tmp_path), "db", "current", "--data-dir", str(running))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("arguments", [("db", "current"), ("apikey", "list"), ("rewind",), ("status",), ("exporter",)])
def test_where_nothing_runs_no_stranger_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert result.output == (
        "Error: no telemetry up runs in .telemetry; --data-dir names another directory, or set TELEMETRY_BROKER_URL and "
        "TELEMETRY_DATABASE_URL\n"
    )


def test_a_data_directory_that_is_not_there() -> None:
    result = invoke("status", "--data-dir", "/nonexistent")
    assert result.exit_code == 2
    assert "there is no directory /nonexistent" in result.output


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("statsu",), "status"),
        (("deadleter", "list"), "deadletter"),
        (("deadletter", "lst"), "list"),
        (("status", "--jsn"), "--json"),
        (("apikey", "list", "--data-dri", "x"), "--data-dir"),
    ],
)
def test_a_name_that_is_misspelt(arguments: tuple[str, ...], nearest: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "did you mean" in result.output.lower()
    assert nearest in result.output


def test_a_name_that_is_like_none() -> None:
    result = invoke("xyzzy")
    assert result.exit_code == 2
    assert "there is no command 'xyzzy'; see telemetry --help" in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_shows_how_it_was_written(command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert "\\b" not in result.output
    assert "\b" not in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_completes_commands(shell: str) -> None:
    environ = os.environ | {"_TELEMETRY_COMPLETE": f"{shell}_source"}
    done = subprocess.run([TELEMETRY], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, "_TELEMETRY_COMPLETE" in done.stdout) == (0, True), done.stderr
    words = {"COMP_WORDS": "telemetry quar", "COMP_CWORD": "1" if shell != "fish" else "quar"}
    done = subprocess.run(
        [TELEMETRY],
        env=environ | words | {"_TELEMETRY_COMPLETE": f"{shell}_complete"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "quarantine" in done.stdout


def test_the_help_comes_at_once() -> None:
    def cpu_s() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def needed_s() -> float:
        before_s = cpu_s()
        subprocess.run([TELEMETRY, "--help"], check=True, capture_output=True, env=os.environ)
        return cpu_s() - before_s

    assert min(needed_s() for _ in range(3)) < 0.3
