"""The screen, on a real terminal and without one."""

from __future__ import annotations

import io
import os
import pty
import sys
import termios
from collections.abc import Iterator

import pytest

from telemetry.local.keyboard import enter_pressed
from telemetry.local.screen import BOLD, CLEAR_LINE, PLAIN, Screen

COLUMNS = 40


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: what a person sees and types, and what a process writes and reads."""
    person, process = pty.openpty()
    termios.tcsetwinsize(process, (24, COLUMNS))
    yield person, process
    os.close(person)
    os.close(process)


def read_to(person: int, end: str) -> str:
    """What a person sees, up to a text. The kernel hands it on in pieces."""
    shown = ""
    while not shown.endswith(end):
        shown += os.read(person, 4096).decode()
    return shown


def test_the_last_line_of_a_terminal_stays(terminal: tuple[int, int]) -> None:
    person, process = terminal
    with os.fdopen(os.dup(process), "w") as output:
        screen = Screen(output, ["api"])
        addresses = "http://127.0.0.1:8080/ " * 9
        screen.pin(addresses)
        screen.line("api", "hello")
        last = f"{BOLD}{addresses[: COLUMNS - 1]}{PLAIN}"
        shown = read_to(person, "hello\r\n" + last)
        assert shown.startswith(last + CLEAR_LINE)
        screen.pin("")
        screen.show("end")
        assert read_to(person, "end\r\n") == f"{CLEAR_LINE}end\r\n"


def test_a_window_that_is_closed_is_noticed() -> None:
    person, process = pty.openpty()
    with os.fdopen(process, "w") as output:
        screen = Screen(output, ["api"])
        screen.show("hello")
        os.close(person)
        assert not screen.unheard
        screen.show("hello")
        assert screen.unheard
        # What could not be written would be written again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())


def test_a_file_gets_no_last_line() -> None:
    output = io.StringIO()
    screen = Screen(output, ["api", "beat"])
    screen.pin("http://127.0.0.1:8080/")
    screen.line("api", "hello")
    screen.show("text")
    assert output.getvalue()[8:] == " api  | hello\ntext\n"


def test_enter_is_heard_in_the_foreground_only(terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    person, process = terminal
    monkeypatch.setattr(sys, "stdin", os.fdopen(os.dup(process)))
    os.write(person, b"\n")
    # The terminal is not that of this process, so it must not be read.
    assert not enter_pressed()
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
    assert enter_pressed()
    assert not enter_pressed()
    sys.stdin.close()
    assert not enter_pressed()
    monkeypatch.setattr(sys, "stdin", None)
    assert not enter_pressed()
