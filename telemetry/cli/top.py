"""`telemetry top`: the fleet in a terminal, live, from an API or from the database of this system.

How it looks is `top_screen`'s; what is now in the database is looked up by `gpus`. Here stand the terminal and the API.
"""

from __future__ import annotations

import curses
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.redraw import colour_allowed
from telemetry.cli.top_screen import METRICS, Row, View, aged, pressed, screen
from telemetry.readings.series import MIG_INSTANCE

Look = Callable[[], list[dict[str, Any]]]
LOOK_S = 2.0
# How long a key is waited for before the clock is looked at again.
TICK_MS = 100
ENTER, ESCAPE, BACKSPACE = {10, 13, curses.KEY_ENTER}, 27, {8, 127, curses.KEY_BACKSPACE}
KEYS = {
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_PPAGE: "pageup",
    curses.KEY_NPAGE: "pagedown",
    curses.KEY_HOME: "home",
}


@click.command()
@click.option("--once", is_flag=True, help="Print one look, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@data_dir_option()
def top(once: bool, as_json: bool, data_dir: Path | None) -> None:
    """Show the fleet live: a line a GPU, ordered by the keys h, u, t, p, m, o and a; / finds, q ends.

    Asks the API at TELEMETRY_API_URL with TELEMETRY_API_KEY if there is one, else the database of this system. --json prints
    one look for programs.
    """
    with _looker(data_dir) as look:
        if as_json:
            click.echo(json.dumps(look()))
        elif once or not sys.stdout.isatty() or not sys.stdin.isatty():
            size = shutil.get_terminal_size()
            gpus = look()
            for row in screen(gpus, View(), size.columns, len(gpus) + 4)[: len(gpus) + 2]:
                click.echo(row.text.rstrip())
        else:
            with suppress(KeyboardInterrupt):
                _check_terminal()
                curses.wrapper(_run, look)


@contextmanager
def _looker(data_dir: Path | None) -> Iterator[Look]:
    """What looks at the fleet. What does not answer is reported in one line."""
    if os.environ.get("TELEMETRY_API_URL"):
        with _of_api() as look:
            yield look
    else:
        yield _of_database(data_dir)


def _of_database(data_dir: Path | None) -> Look:
    # Who asks an API needs none of these.
    from telemetry.cli.database import database  # noqa: PLC0415
    from telemetry.cli.gpus import looked  # noqa: PLC0415
    from telemetry.cli.session import load_settings  # noqa: PLC0415

    settings = load_settings(data_dir)

    def look() -> list[dict[str, Any]]:
        with database(settings, "top") as engine:
            return looked(engine, None)

    return look


@contextmanager
def _of_api() -> Iterator[Look]:
    try:
        from telemetry.client import Client, ClientError  # noqa: PLC0415 - an edge lacks httpx
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"TELEMETRY_API_URL needs {error.name}; install telemetry-pipeline[client], or unset it to ask the database"
        ) from None
    try:
        with Client() as api:
            asked: list[str] = []

            def look() -> list[dict[str, Any]]:
                try:
                    # A metric may have its first reading while this runs.
                    if len(asked) < len(METRICS):
                        names = {metric["name"] for metric in api.metrics()}
                        asked[:] = [metric for metric in METRICS if metric in names]
                    latest = list(api.latest(metric=asked)) if asked else []
                    return joined(list(api.gpus()), latest, datetime.now(UTC))
                except ClientError as error:
                    raise click.ClickException(str(error)) from None

            yield look
    except (ClientError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def joined(gpus: list[Any], latest: list[Any], now: datetime) -> list[dict[str, Any]]:
    """GPUs of the API with their latest readings, as `telemetry.cli.gpus.looked` tells of them."""
    rows: dict[str, dict[str, Any]] = {}
    for gpu in gpus:
        about = {name: gpu[name] for name in ("id", "host", "index", "model", "silent_for_s")}
        rows[gpu["id"]] = {**about, "values": dict.fromkeys(METRICS), "owner": {}}
    # The newest is the last, and stays.
    for reading in sorted(latest, key=lambda reading: reading["timestamp"]):
        row = rows.get(reading["gpu"])
        if row is None:
            continue
        row["silent_for_s"] = max(0.0, (now - datetime.fromisoformat(reading["timestamp"])).total_seconds())
        row["owner"] = reading["owner"] or row["owner"]
        if MIG_INSTANCE not in reading["labels"]:
            row["values"][reading["metric"]] = reading["value"]
    return list(rows.values())


def _check_terminal() -> None:
    try:
        curses.setupterm()
    except curses.error:
        name = os.environ.get("TERM")
        what = f"the terminal {name!r} is not known here" if name else "TERM is not set"
        raise click.ClickException(f"{what}; set TERM to one that is, such as TERM=xterm, or use --once") from None


def _run(window: curses.window, look: Look) -> None:
    styles = _styles()
    view, gpus, trouble, is_typing = View(), look(), "", False
    last, last_at = gpus, time.monotonic()
    asked_at = last_at
    window.timeout(TICK_MS)
    # Escape is a key by itself: the rest of a longer one comes at once.
    curses.set_escdelay(TICK_MS)
    while True:
        lines, columns = window.getmaxyx()
        rows = screen(gpus, view, columns - 1, lines, trouble)
        _draw(window, [*rows[:-1], Row(f"/{view.text}", "bold")] if is_typing else rows, styles)
        key = window.getch()
        if is_typing and key != -1:
            view, is_typing = _typed(view, key)
        elif key in {ord("q"), ord("Q")}:
            return
        elif key == ord("/"):
            is_typing = True
        elif key == ESCAPE:
            view = replace(view, text="", first=0)
        elif key != -1:
            view = pressed(view, KEYS.get(key, chr(key) if 0 < key < curses.KEY_MIN else ""), max(1, lines - 3))
            view = replace(view, first=min(view.first, max(0, len(gpus) - 1)))
        if time.monotonic() - asked_at >= LOOK_S:
            try:
                last, trouble = look(), ""
                gpus, last_at = last, time.monotonic()
            except click.ClickException as error:
                gpus, trouble = aged(last, time.monotonic() - last_at), f"{error.message} (it is asked again)"
            asked_at = time.monotonic()


def _draw(window: curses.window, rows: Sequence[Row], styles: Mapping[str, int]) -> None:
    # The last place of a terminal cannot be written without scrolling it.
    width = window.getmaxyx()[1] - 1
    for number, row in enumerate(rows):
        # The terminal may have become smaller meanwhile.
        with suppress(curses.error):
            window.addstr(number, 0, row.text[:width].ljust(width), styles[row.style])
    window.refresh()


def _typed(view: View, key: int) -> tuple[View, bool]:
    """The view after a key while words are typed, and whether they still are."""
    if key == ESCAPE:
        return replace(view, text="", first=0), False
    if key in BACKSPACE:
        return replace(view, text=view.text[:-1], first=0), True
    is_letter = 0 < key < curses.KEY_MIN and chr(key).isprintable()
    return (replace(view, text=view.text + chr(key), first=0) if is_letter else view), key not in ENTER


def _styles() -> dict[str, int]:
    # Terminals such as vt100 and ansi cannot hide the cursor, or have no colours of their own to go back to.
    with suppress(curses.error):
        curses.curs_set(0)
    is_coloured = curses.has_colors() and colour_allowed() is not False
    if is_coloured:
        background = curses.COLOR_BLACK
        with suppress(curses.error):
            curses.use_default_colors()
            background = -1
        curses.init_pair(1, curses.COLOR_YELLOW, background)
        curses.init_pair(2, curses.COLOR_RED, background)
    warning, bad = (curses.color_pair(1), curses.color_pair(2)) if is_coloured else (curses.A_DIM, curses.A_BOLD)
    return {"": 0, "bold": curses.A_BOLD, "reverse": curses.A_REVERSE, "warning": warning, "bad": bad}
