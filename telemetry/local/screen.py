"""The screen of `telemetry up`: lines of several processes, and on a terminal a last line that stays below them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from honcho.colour import get_colours

# Nobody reads a pipe any more, or the window of the terminal was closed.
GONE = (errno.EPIPE, errno.EIO)
CLEAR_LINE, PLAIN, BOLD = "\r\x1b[K", "\x1b[0m", "\x1b[1m"


class Screen:
    """Writes to an output, coloured if it is a terminal. `names` are the processes, in the order of their colours."""

    def __init__(self, output: TextIO, names: Iterable[str], own_name: str = "up") -> None:
        # Set once nobody reads the output any more.
        self.unheard = False
        self.own_name = own_name
        self._output = output
        self._is_terminal = output.isatty()
        self._colours = dict(zip(names, get_colours(), strict=False))
        self._width = max(map(len, [*self._colours, own_name]))
        self._pinned = ""

    def line(self, name: str, text: str) -> None:
        """Show a line of a process, with the time in front of it."""
        head = f"{datetime.now().astimezone():%H:%M:%S} {name.ljust(self._width)} | "
        if self._is_terminal and name in self._colours:
            head = f"{PLAIN}\x1b[{self._colours[name]}m{head}{PLAIN}"
        self.show(head + text)

    def show(self, text: str) -> None:
        """Show a text as it is."""
        self._write(f"{self._clearing()}{text}\n{self._last_line()}")

    def pin(self, text: str) -> None:
        """Keep a text as the last line of a terminal, in place of the one before; an empty one takes it away."""
        clearing, self._pinned = self._clearing(), text if self._is_terminal else ""
        self._write(clearing + self._last_line())

    def _clearing(self) -> str:
        return CLEAR_LINE if self._pinned else ""

    def _last_line(self) -> str:
        """The pinned text. It must not wrap: only one line can be cleared."""
        if not self._pinned:
            return ""
        columns = os.get_terminal_size(self._output.fileno()).columns or 80
        return f"{BOLD}{self._pinned[: columns - 1]}{PLAIN}"

    def _write(self, text: str) -> None:
        try:
            self._output.write(text)
            self._output.flush()
        except OSError as error:
            if error.errno not in GONE:
                raise
            # The output of the processes must still be read, or they would wait for us.
            self.unheard = True
