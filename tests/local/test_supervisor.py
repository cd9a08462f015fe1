"""The supervisor: delays, the Procfile, and real short-lived processes under it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from hypothesis import given
from hypothesis import strategies as st

from telemetry import resources
from telemetry.local.log_files import LogFiles
from telemetry.local.screen import Screen
from telemetry.local.start_order import read_procfile
from telemetry.local.supervisor import MAX_DELAY_S, Backoff, Supervisor, describe
from tests.waiting import eventually

ENVIRON = {"PATH": os.environ["PATH"]}


@contextmanager
def supervised(*stages: tuple[str, ...], **commands: str) -> Iterator[tuple[Supervisor, io.StringIO]]:
    output = io.StringIO()
    with TemporaryDirectory() as directory, closing(LogFiles(Path(directory) / "log")) as files:
        supervisor = Supervisor(commands, ENVIRON, Screen(output, commands), files)
        try:
            yield supervisor, output
        finally:
            supervisor.stop(stages)


def stepping(supervisor: Supervisor, condition: Callable[[], bool], what: str) -> None:
    def met() -> bool:
        supervisor.step()
        return condition()

    eventually(met, what=what)


def said(supervisor: Supervisor, output: io.StringIO, text: str) -> None:
    stepping(supervisor, lambda: text in output.getvalue(), f"{text!r} in the output")


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff()
    assert [backoff.after(lived_s=0.1) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_minute_of_life_forgives() -> None:
    backoff = Backoff()
    assert [backoff.after(0), backoff.after(0), backoff.after(60), backoff.after(0)] == [1, 2, 1, 2]


@given(st.lists(st.floats(0, 1000)))
def test_every_delay_is_within_bounds(lives: list[float]) -> None:
    backoff = Backoff()
    assert all(1 <= backoff.after(lived) <= MAX_DELAY_S for lived in lives)


def test_the_procfile_names_the_processes_of_the_system() -> None:
    commands = read_procfile(resources.path("Procfile"))
    assert list(commands) == ["beat", "streamer", "collector", "api", "uploads", "exporter", "flower"]
    # A shell between us and the process would keep the signals to itself.
    assert all(command.startswith("exec ") for command in commands.values())


def test_exit_codes_in_words() -> None:
    assert describe(3) == "exit code 3"
    assert describe(-9) == "killed by SIGKILL"


def test_output_carries_the_name() -> None:
    with supervised(one="echo hello $NAME; exec sleep 60", other="exec sleep 60") as (supervisor, output):
        said(supervisor, output, "hello")
    assert "one   | hello" in output.getvalue()


def test_the_screen_has_what_matters_and_the_files_have_all() -> None:
    head = "[2026-11-28 07:25:36,248: "
    lines = [f"{head}DEBUG/MainProcess] a batch", f"{head}INFO/MainProcess] 5 rows", f"{head}ERROR/ForkPoolWorker-2] lost"]
    with supervised(one="; ".join(f"echo '{line}'" for line in lines) + "; exec sleep 60") as (supervisor, output):
        said(supervisor, output, "one | ERROR ForkPoolWorker-2: lost\n")
        directory = supervisor._files.directory
        assert (directory / "one.log").read_text().splitlines() == lines
        supervisor.say("two\nlines")
        assert [line[22:] for line in (directory / "up.log").read_text().splitlines()] == ["two", "lines"]
    assert "one | 5 rows\n" in output.getvalue()
    assert "a batch" not in output.getvalue()
    assert "2026" not in output.getvalue()


def test_a_disk_that_is_full_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    output = io.StringIO()
    supervisor = Supervisor({}, ENVIRON, Screen(output, ()), LogFiles(tmp_path / "file" / "log"))
    for _ in range(3):
        supervisor.say("hello")
    assert output.getvalue().count("cannot be written") == 1
    assert output.getvalue().count("up | hello") == 3


def test_a_process_that_ends_is_started_again(tmp_path: Path) -> None:
    with supervised(short=f"echo x >> {tmp_path}/starts; exit 3") as (supervisor, output):
        said(supervisor, output, "short ended (exit code 3); starting it again in 1 s")
        stepping(supervisor, lambda: (tmp_path / "starts").read_text().count("x") == 2, "the second start")
        said(supervisor, output, "starting it again in 2 s")


def test_what_a_process_leaves_behind_is_killed() -> None:
    with supervised(parent="sleep 61 & echo left $!; exit 1") as (supervisor, output):
        said(supervisor, output, "parent ended")
        left = int(output.getvalue().partition("left ")[2].split()[0])
        eventually(lambda: not psutil.pid_exists(left))


def test_stages_end_one_after_the_other() -> None:
    loud = "trap 'sleep 0.2; echo {} ends; exit 0' TERM; echo {} is up; while :; do sleep 0.05; done"
    commands = {name: loud.format(name, name) for name in ("third", "second", "first")}
    with supervised(("first",), ("second",), **commands) as (supervisor, output):
        for name in commands:
            said(supervisor, output, f"{name} is up")
    ends = [line.split()[-2] for line in output.getvalue().splitlines() if line.endswith("ends")]
    assert ends == ["first", "second", "third"]


def test_kill_ends_what_does_not_listen() -> None:
    with supervised(deaf="trap '' TERM; echo up; while :; do sleep 0.05; done") as (supervisor, output):
        said(supervisor, output, "deaf | up")
        supervisor.kill()
        said(supervisor, output, "deaf ended (killed by SIGKILL)")


def test_nobody_listening_is_noticed(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    output = os.fdopen(writing, "w", buffering=1)
    commands = {"one": "echo hello; exec sleep 60"}
    with closing(LogFiles(tmp_path)) as files:
        supervisor = Supervisor(commands, ENVIRON, Screen(output, commands), files)
        stepping(supervisor, lambda: supervisor.screen.unheard, "unheard")
        supervisor.stop([])
    with suppress(BrokenPipeError):
        output.close()
