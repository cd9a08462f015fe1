"""`telemetry top`: the fleet in a terminal, live, from an API or from the database of this system.

How it looks is `top_screen`'s, and what it shows `top_look`'s. Here stand the terminal and its keys.
"""

from __future__ import annotations

import curses
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.redraw import colour_allowed
from telemetry.cli.top_look import ASKING, Looking, looker
from telemetry.cli.top_screen import Row, View, aged, pressed, screen

LOOK_S = 2.0
# The first answer is waited for so long before the screen says that it is. A dumb terminal can be written to only once.
PATIENCE_S = 3.0
# How long a key is waited for before what was seen is drawn again.
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
    with looker(data_dir) as look:
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
                looking = Looking(look, LOOK_S)
                looking.start()
                try:
                    curses.wrapper(_run, looking)
                finally:
                    looking.end()


def _check_terminal() -> None:
    try:
        curses.setupterm()
    except curses.error:
        name = os.environ.get("TERM")
        what = f"the terminal {name!r} is not known here" if name else "TERM is not set"
        raise click.ClickException(f"{what}; set TERM to one that is, such as TERM=xterm, or use --once") from None


def _run(window: curses.window, looking: Looking) -> None:
    styles = _styles()
    view, is_typing, begun_s = View(), False, time.monotonic()
    window.timeout(TICK_MS)
    # Escape is a key by itself: the rest of a longer one comes at once.
    curses.set_escdelay(TICK_MS)
    while True:
        lines, columns = window.getmaxyx()
        seen = looking.seen
        gpus = aged(seen.gpus, time.monotonic() - seen.at_s)
        rows = screen(gpus, view, columns - 1, lines, seen.trouble)
        if seen.trouble != ASKING or time.monotonic() - begun_s > PATIENCE_S:
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
