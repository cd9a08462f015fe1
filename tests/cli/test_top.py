"""`telemetry top`: its screen by itself, what it asks, and the keys in a real terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from telemetry.cli.top_screen import POWER, TEMP, UTIL, Row, View, chosen, pressed, screen
from tests.fixtures.processes import BIN
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]


def gpu(host: str, index: int, util: float | None, temp: float = 40.0, **owner: str) -> dict[str, Any]:
    values = {UTIL: util, TEMP: temp, POWER: 100.0}
    about = {"id": f"GPU-{host}{index}", "host": host, "index": index, "model": "H100", "silent_for_s": 3.0}
    return {**about, "values": values, "owner": owner}


GPUS = [gpu("a", 10, 5.0), gpu("a", 2, 90.0, 88.0, namespace="ml", pod="train"), {**gpu("b", 0, None), "silent_for_s": None}]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60), (79, 5), (20, 2)])
def test_a_screen_fits_the_terminal(columns: int, lines: int) -> None:
    rows = screen(GPUS * 40, View(), columns, lines)
    assert len(rows) == lines
    assert all(len(row.text) <= columns for row in rows)


def test_a_screen_tells_how_each_gpu_is() -> None:
    rows = screen(GPUS, View(), 80, 24)
    assert rows[0].text == "3 GPUs, 1 silent, 1 held, 0.3 kW; by host"
    assert rows[2].text.split() == ["a:2", "90%", "#######", "88C", "100W", "-", "3", "s", "ml/train"]
    assert [row.style for row in rows[2:5]] == ["bad", "", "warning"]
    assert "never" in rows[4].text
    assert rows[-1].text.endswith("q)uit")
    assert "telemetry ingest" in screen([], View(), 80, 24)[2].text
    assert screen(GPUS, View(), 80, 24, "no answer")[-1] == Row("no answer", "bad")


def test_a_name_of_a_stranger_moves_no_cursor() -> None:
    assert "\x1b" not in "".join(row.text for row in screen([gpu("\x1b[2J", 0, 1.0)], View(), 80, 24))


@pytest.mark.parametrize(
    ("keys", "order"),
    [
        ("h", "a:2 a:10 b:0"),
        ("hh", "b:0 a:10 a:2"),
        ("u", "a:2 a:10 b:0"),
        ("ur", "b:0 a:10 a:2"),
        ("o", "a:2 a:10 b:0"),
        ("a", "b:0 a:2 a:10"),
    ],
)
def test_keys_order_the_gpus(keys: str, order: str) -> None:
    view = View("x")
    for key in keys:
        view = pressed(view, key, 10)
    assert " ".join(f"{each['host']}:{each['index']}" for each in chosen(GPUS, view)) == order


def test_words_are_found_and_lines_scrolled() -> None:
    assert [each["index"] for each in chosen(GPUS, View(text="a:2 ml TRAIN"))] == [2]
    view = pressed(pressed(View(), "pagedown", 5), "up", 5)
    assert view.first == 4
    assert pressed(view, "home", 5).first == 0


@pytest.mark.usefixtures("fleet")
def test_the_api_and_the_database_tell_the_same(telemetry: Run, start_api: Callable[..., tuple[str, int]]) -> None:
    address = start_api(TELEMETRY_API_ACCESS="open")[0]
    of_database = json.loads(telemetry("top", "--json").stdout)
    of_api = json.loads(telemetry("top", "--json", TELEMETRY_API_URL=address).stdout)
    for gpus in (of_database, of_api):
        assert len(gpus) == 4
        for each in gpus:
            assert each.pop("silent_for_s") > 600
    assert of_api == of_database
    assert "4 GPUs, 4 silent" in telemetry("top", "--once").stdout


def test_an_api_that_is_away_is_one_line(telemetry: Run) -> None:
    ended = telemetry("top", "--once", TELEMETRY_API_URL="http://127.0.0.1:1")
    assert ended.returncode == 1
    assert "no answer from http://127.0.0.1:1" in ended.stderr


@pytest.mark.usefixtures("fleet")
def test_keys_work_in_a_terminal(environ: Mapping[str, str]) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    variables = {**os.environ, **environ, "TERM": "xterm"}
    process = subprocess.Popen([BIN / "telemetry", "top"], stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = bytearray()

    def shows(text: bytes) -> bool:
        with suppress(BlockingIOError):
            seen.extend(os.read(ours, 1 << 16))
        return text in seen

    try:
        eventually(lambda: shows(b"4 GPUs, 4 silent"), 30, what="the fleet is shown")
        for key, text in ((b"u", b"util"), (b"/", b"/"), (b"b:0", b"found by"), (b"\n", b""), (b"\x1b", b"order by")):
            seen.clear()
            os.write(ours, key)
            eventually(lambda text=text: shows(text), 10, what=f"{text!r} is shown")  # type: ignore[misc]
        os.write(ours, b"q")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
