"""A command-line tool that is left running and writes lines at its own interval: started, read, ended.

It stays, as its start costs more than a turn: nvidia-smi on a node of several GPUs took 6 s to start and half a second in its
loop (netdata/netdata#14522), and where the driver has no persistence, each start is one of the GPU (pop-os/system76-power#492).
One that says nothing is ended. One that no signal ends, as its driver hangs, is not started a second time beside itself. What
its lines mean is left to `looping`.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import PurePath
from typing import IO

from telemetry.record.taken import SourceError

PIECE_BYTES = 64 << 10
MOST_BYTES = 1 << 20
# How often it is asked whether to stop; how long a pause ends what belongs together; how long that may take at most.
SLICE_S, PAUSE_S, TOGETHER_S = 0.5, 0.05, 1.0
# How long an ended process may take to go.
GO_S = 2.0
# What the tool writes must not depend on where it runs: times in UTC, words in English, lines as soon as they are there.
ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C", "PYTHONUNBUFFERED": "1"}


class EndedError(SourceError):
    """The tool ended by itself, with an exit code, and perhaps words on standard error."""


class Tool:
    """A tool, whatever its command. It has `patience_s` for its next line."""

    def __init__(self, patience_s: float, stopping: threading.Event) -> None:
        self.patience_s = patience_s
        self.stopping = stopping
        self._name = ""
        self._process: subprocess.Popen[bytes] | None = None
        # Its pipes that are not at their end.
        self._open: list[IO[bytes]] = []
        self._rest = self._words = b""
        self.is_running = False

    def start(self, command: list[str]) -> None:
        """Start it. Raises SourceError if that is impossible, or if the process before this one is still there."""
        self._name = PurePath(command[0]).name
        if self._process is not None and self._process.poll() is None:
            raise SourceError(f"{self._name} hangs, and no signal ends it; it is started again when it is gone")
        try:
            process = subprocess.Popen(  # noqa: S603 - a command of our own
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=os.environ | ENVIRONMENT,
                process_group=0,
            )
        except OSError as error:
            raise SourceError(f"{command[0]} cannot be run: {error.strerror}; say where it is: --tool PATH") from None
        self._process, self._rest, self._words, self.is_running = process, b"", b"", True
        self._open = [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]

    def lines(self) -> list[str]:
        """The lines since the last call, at least one, and those that come with it; none if the recording is to stop.

        Raises EndedError, or SourceError if the tool is silent or says too much, and ends it.
        """
        lines: list[str] = []
        until = time.monotonic() + self.patience_s
        while not self.stopping.is_set():
            if self._process is None or self._process.stdout not in self._open:
                if lines:
                    break
                raise self._ended()
            ready, _, _ = select.select(self._open, [], [], PAUSE_S if lines else min(SLICE_S, self.patience_s))
            if lines and (not ready or time.monotonic() > until):
                break
            came = [line for pipe in ready for line in self._read(pipe)]
            if came and not lines:
                until = time.monotonic() + TOGETHER_S
            lines += came
            if not lines and time.monotonic() > until:
                self.close()
                raise SourceError(f"{self._name} has written nothing for {self.patience_s:g} s, and was ended")
        return lines

    def close(self) -> None:
        """End it, with what it started. A process that does not go is left, and remembered."""
        self._open, self.is_running = [], False
        process = self._process
        if process is None:
            return
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GO_S)
            self._process = None

    def _read(self, pipe: IO[bytes]) -> list[str]:
        """The whole lines that a pipe now gives. Of standard error the end is kept, for a message."""
        piece = os.read(pipe.fileno(), PIECE_BYTES)
        if not piece:
            self._open.remove(pipe)
        if self._process is not None and pipe is self._process.stderr:
            self._words = (self._words + piece)[-PIECE_BYTES:]
            return []
        # A line that was begun and never ended says nothing: a value that was cut off is another value.
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MOST_BYTES:
            self.close()
            raise SourceError(f"{self._name} writes a line of more than {MOST_BYTES} bytes, and was ended")
        return [line.decode(errors="replace").rstrip("\r") for line in whole]

    def _ended(self) -> EndedError:
        code, process = None, self._process
        while self._open and select.select(self._open, [], [], 0)[0]:
            self._read(self._open[0])
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(GO_S)
        self.close()
        words = shown(self._words.decode(errors="replace"))
        return EndedError(f"{self._name} ended" + ("" if code is None else f" with {code}") + (f": {words}" if words else ""))


def shown(words: str) -> str:
    """The last line of a stranger's words, as it may stand in a message: printable, and not long."""
    last = next((line.strip() for line in reversed(words.splitlines()) if line.strip()), "")
    return "".join(letter if letter.isprintable() else " " for letter in last)[:200].rstrip(".")
