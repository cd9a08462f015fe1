"""`telemetry status --watch` on a terminal and in a pipe, and its colours."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import pytest

from tests.launching import BIN
from tests.waiting import eventually

AWAY = {"TELEMETRY_DATABASE_URL": "postgresql://127.0.0.1:1/t"}


class Terminal:
    """A command on a terminal of 12 rows."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self.output = ""

    def read(self) -> str:
        """All that it has written by now."""
        # The end of a terminal whose last writer is gone is an error.
        with suppress(OSError):
            while piece := os.read(self._master, 65_536):
                self.output += piece.decode()
        return self.output


@pytest.fixture
def on_a_terminal(environ: Mapping[str, str]) -> Callable[..., object]:
    @contextmanager
    def run(*arguments: str, **variables: str) -> Iterator[Terminal]:
        master, slave = pty.openpty()
        os.set_blocking(master, False)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 100, 0, 0))
        unset = {"NO_COLOR": "", "TERM": "xterm"}
        process = subprocess.Popen(
            [BIN / "telemetry", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **environ, **unset, **variables},
            start_new_session=True,
        )
        os.close(slave)
        try:
            yield Terminal(process, master)
        finally:
            process.kill()
            process.wait()
            os.close(master)

    return run


def test_it_redraws_in_place_and_ends_in_good_order(on_a_terminal: Callable[..., Terminal]) -> None:
    with on_a_terminal("status", "--watch", "--interval", "0.1") as terminal:  # type: ignore[attr-defined]
        eventually(lambda: terminal.read().count("\x1b[H") >= 3, 30)
        terminal.process.send_signal(signal.SIGINT)
        assert eventually(lambda: terminal.process.poll() is not None, 10)
        assert terminal.process.returncode == 0
        assert "Abort" not in terminal.read()
        frame = terminal.output.split("\x1b[H")[-1]
    assert frame.count("queue     0 waiting") == 1
    assert frame.index("\x1b[J") > frame.index("queue")


def test_in_a_pipe_it_prints_one_document_after_the_other(environ: Mapping[str, str]) -> None:
    process = subprocess.Popen(
        [BIN / "telemetry", "status", "--watch", "--json", "--interval", "0.1"],
        stdout=subprocess.PIPE,
        env={**os.environ, **environ},
    )
    with process:
        assert process.stdout is not None
        documents = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert all(document["queue"] == {"waiting": 0, "unacked": 0} for document in documents)


@pytest.mark.parametrize(("variables", "is_red"), [({}, True), ({"NO_COLOR": "1"}, False)])
@pytest.mark.parametrize("watch", [(), ("--watch",)])
def test_what_is_wrong_is_red_unless_colours_are_unwanted(
    on_a_terminal: Callable[..., Terminal], variables: dict[str, str], is_red: bool, watch: tuple[str, ...]
) -> None:
    with on_a_terminal("status", *watch, **AWAY, **variables) as terminal:  # type: ignore[attr-defined]
        eventually(lambda: "NO ANSWER" in terminal.read(), 30)
    assert ("\x1b[31mdatabase" in terminal.output) == is_red


def test_a_pipe_has_no_colours(telemetry: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = telemetry("status", **AWAY)
    assert "NO ANSWER" in done.stdout
    assert "\x1b" not in done.stdout
