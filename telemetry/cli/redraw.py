"""Shows lines, and shows them anew at an interval until Ctrl-C: in their place on a terminal, one after the other elsewhere."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence

import click

from telemetry.cli.foreign import plain
from telemetry.cli.status_lines import Line

HOME, TO_END_OF_LINE, TO_END = "\x1b[H", "\x1b[K", "\x1b[J"


def colour_allowed() -> bool | None:
    """What click takes for `color`: None leaves it to whether the output is a terminal. See https://no-color.org."""
    return False if os.environ.get("NO_COLOR") else None


def painted(line: Line) -> str:
    """A line in its colour."""
    text = plain(line.text)
    return click.style(text, fg=line.colour) if line.colour else text


def redraw(look: Callable[[], Sequence[Line]], interval_s: float, *, in_place: bool) -> None:
    """Show what `look` returns, again and again. Ctrl-C ends it in good order."""
    try:
        if in_place:
            click.clear()
        while True:
            lines = look()
            if in_place:
                # The codes that move the cursor are no colours.
                click.echo(_screen(lines), nl=False, color=True)
            else:
                for line in lines:
                    click.echo(line.text)
            time.sleep(interval_s)
    except KeyboardInterrupt:
        click.echo()


def _screen(lines: Sequence[Line]) -> str:
    """Everything from the first row on, cut to the terminal: a line that wraps would push the others out of their places."""
    columns, rows = shutil.get_terminal_size()
    room = max(1, rows - 1)
    shown = list(lines if len(lines) <= room else lines[: room - 1])
    if len(shown) < len(lines):
        shown.append(Line(f"… and {len(lines) - len(shown):,} lines more than this terminal has room for"))
    is_plain = colour_allowed() is False
    cut = [Line(line.text[: columns - 1], None if is_plain else line.colour) for line in shown]
    return HOME + "".join(f"{painted(line)}{TO_END_OF_LINE}\n" for line in cut) + TO_END
