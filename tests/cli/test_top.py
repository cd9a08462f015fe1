"""`telemetry top`: its screen by itself, what it asks, and the keys in a real terminal."""

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
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
import redis
from sqlalchemy import Engine

from telemetry.cli.top_look import joined
from telemetry.cli.top_screen import POWER, TEMP, UTIL, Row, View, aged, chosen, is_silent, owner, pressed, screen
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.batches import batch, now_s, readings
from tests.fixtures.fleet import series
from tests.launching import BIN
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]


def gpu(host: str, index: int, util: float | None, temp: float = 40.0, **labels: str) -> dict[str, Any]:
    values = {UTIL: util, TEMP: temp, POWER: 100.0}
    about = {
        "id": f"GPU-{host}{index}",
        "host": host,
        "index": index,
        "model": "H100",
        "silent_for_s": 3.0,
        "silent_after_s": 600,
        "fault": None,
    }
    return {**about, "values": values, "owner": labels}


GPUS = [gpu("a", 10, 5.0), gpu("a", 2, 90.0, 88.0, namespace="ml", pod="train"), {**gpu("b", 0, None), "silent_for_s": None}]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60), (79, 5), (20, 2)])
def test_a_screen_fits_the_terminal(columns: int, lines: int) -> None:
    rows = screen(GPUS * 40, View(), columns, lines)
    assert len(rows) == lines
    assert all(len(row.text) <= columns for row in rows)


def test_a_screen_tells_how_each_gpu_is() -> None:
    rows = screen(GPUS, View(), 80, 24)
    assert rows[0].text == "3 GPUs, 1 silent, 0 faulty, 1 held, 0.3 kW; by host"
    assert rows[2].text.split() == ["a:2", "90%", "#######", "88C", "100W", "-", "3", "s", "ml/train"]
    assert [row.style for row in rows[2:5]] == ["bad", "", "warning"]
    assert "never" in rows[4].text
    assert rows[-1].text.endswith("q)uit")
    assert "telemetry ingest" in screen([], View(), 80, 24)[2].text
    assert screen(GPUS, View(), 80, 24, "no answer")[-1] == Row("no answer", "bad")


def test_a_faulty_gpu_has_its_reason_and_is_found_by_it() -> None:
    faulty = {**gpu("c", 1, 0.0, pod="train"), "silent_for_s": 9000.0, "fault": "XID 79"}
    rows = screen([*GPUS, faulty], View(text="faulty"), 80, 24)
    assert rows[0].text == "4 GPUs, 2 silent, 1 faulty, 2 held, 0.4 kW, 1 found by 'faulty'; by host"
    assert rows[2].text.rstrip().endswith("! XID 79; train")
    assert rows[2].style == "bad"


def test_what_is_not_read_again_becomes_older() -> None:
    assert [each["silent_for_s"] for each in aged(GPUS, 600.0)] == [603.0, 603.0, None]
    assert screen(aged(GPUS, 600.0), View(), 80, 24)[0].text.startswith("3 GPUs, 3 silent")


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


class Terminal:
    """`telemetry top` in a terminal of 24 lines."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [BIN / "telemetry", "top"], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **variables}
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self.seen = bytearray()

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def shows(self, text: bytes) -> bool:
        # EIO: the process has ended.
        with suppress(OSError):
            self.seen.extend(os.read(self._ours, 1 << 16))
        return text in self.seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(environ: Mapping[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start `telemetry top` in a terminal, with these variables."""
    with ExitStack() as stack:

        def start(**variables: str) -> Terminal:
            started = Terminal({**environ, **variables})
            stack.callback(started.close)
            return started

        yield start


@pytest.mark.usefixtures("fleet")
def test_keys_work_in_a_terminal(terminal: Callable[..., Terminal]) -> None:
    shown = terminal(TERM="xterm")
    eventually(lambda: shown.shows(b"4 GPUs, 4 silent"), 30, what="the fleet is shown")
    for key, text in ((b"u", b"util"), (b"/", b"/"), (b"b:0", b"found by"), (b"\n\x1b", b"order by")):
        shown.seen.clear()
        shown.press(key)
        eventually(lambda text=text: shown.shows(text), 10, what=f"{text!r} is shown")  # type: ignore[misc]
    shown.press(b"q")
    assert shown.process.wait(10) == 0


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("name", ["vt100", "ansi", "dumb"])
def test_a_terminal_may_lack_colours_and_a_hidden_cursor(terminal: Callable[..., Terminal], name: str) -> None:
    shown = terminal(TERM=name)
    eventually(lambda: shown.shows(b"4 GPUs, 4 silent"), 30, what="the fleet is shown")
    shown.press(b"q")
    assert shown.process.wait(10) == 0


@pytest.mark.parametrize(
    ("name", "words"), [("nonsense", b"the terminal 'nonsense' is not known here"), ("", b"TERM is not set")]
)
def test_an_unknown_terminal_is_one_line(terminal: Callable[..., Terminal], name: str, words: bytes) -> None:
    shown = terminal(TERM=name)
    eventually(lambda: shown.shows(words), 30, what="the trouble is named")
    assert shown.process.wait(10) == 1
    assert b"Traceback" not in shown.seen


def test_new_metrics_are_seen_and_ages_grow_while_nothing_answers(
    start_api: Callable[..., tuple[str, int]],
    terminal: Callable[..., Terminal],
    settings: Settings,
    engine: Engine,
    redis_client: redis.Redis,
) -> None:
    address, pid = start_api(TELEMETRY_API_ACCESS="open")
    shown = terminal(TERM="xterm", TELEMETRY_API_URL=address)
    eventually(lambda: shown.shows(b"No GPU has sent a reading yet"), 30, what="an empty fleet is shown")
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    collector.persist(*wire.encode(batch(readings((series("GPU_UTIL", "a", 0, pod="p"), now_s() - 105, 90.0)))))
    eventually(lambda: shown.shows(b"90%"), 10, what="the value of a metric that is new is shown")
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: shown.shows(b"no answer from"), 30, what="it is said that nothing answers")
    eventually(lambda: shown.shows(b"2 min"), 30, what="the age grows")


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Freeze a process and its children."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@pytest.mark.usefixtures("fleet")
def test_keys_are_answered_while_nothing_else_answers(
    start_api: Callable[..., tuple[str, int]], terminal: Callable[..., Terminal]
) -> None:
    address, pid = start_api(TELEMETRY_API_ACCESS="open")
    shown = terminal(TERM="xterm", TELEMETRY_API_URL=address)
    eventually(lambda: shown.shows(b"4 GPUs, 4 silent"), 30, what="the fleet is shown")
    with frozen(pid):
        eventually(lambda: shown.shows(b"no answer from"), 60, what="it is said that nothing answers")
        shown.seen.clear()
        shown.press(b"u")
        eventually(lambda: shown.shows(b"util"), 2, what="the order changes")
        shown.press(b"q")
        assert shown.process.wait(5) == 0


def test_ages_are_by_the_clock_of_the_api() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    about = {"id": "GPU-a0", "host": "a", "index": 0, "model": None, "silent_for_s": 0.0}
    reading = {"gpu": "GPU-a0", "metric": UTIL, "value": 1.0, "timestamp": "2025-12-31T23:59:30Z", "labels": {}, "owner": {}}
    faulty = {"gpu": "GPU-a0", "reasons": [{"says": "XID 79"}, {"says": "hot"}]}
    (row,) = joined([about], [reading], [faulty], now, 20)
    assert (row["silent_for_s"], is_silent(row), row["fault"]) == (30.0, True, "XID 79")


@pytest.mark.parametrize(
    ("labels", "whose"),
    [
        ({"namespace": "ml", "pod": "train", "exported_namespace": "team", "exported_pod": "job-1"}, "team/job-1"),
        ({"slurm_user": "ann", "slurm_job_id": "7"}, "ann/7"),
        ({"hpc_job": "8", "user": ""}, "8"),
        ({}, ""),
    ],
)
def test_an_owner_is_who_its_labels_name(labels: dict[str, str], whose: str) -> None:
    assert owner({**gpu("a", 0, 1.0), "owner": labels}) == whose
