"""Runs the processes of a Procfile: starts them, shows and keeps their output, restarts those that die, stops them in stages.

Each process has a session of its own, so a Ctrl-C in the terminal reaches it only through here, and its own children are killed
when it ends. Honcho runs the shell; its own manager is not used, as that ends everything when one process ends. The caller says
which processes there are and in which order they stop. What becomes of the output is `screen`'s, `log_lines`'s and
`log_files`'s.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from honcho.process import Popen

from telemetry.local import log_lines
from telemetry.local.lifeline import ends_with_parent
from telemetry.local.log_files import LogFiles
from telemetry.local.screen import Screen

MAX_DELAY_S = 30.0
# Longer than Celery's soft shutdown.
PATIENCE_S = 35.0
PACE_S = 0.1


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start: 1, 2, 4 … 30 seconds, and 1 again after a process that lived for a minute."""

    settled_s: float = 60.0
    _next: float = field(default=1.0, init=False)

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a process that lived for `lived_s` seconds."""
        if lived_s >= self.settled_s:
            self._next = 1.0
        delay, self._next = self._next, min(self._next * 2, MAX_DELAY_S)
        return delay


@dataclass(slots=True)
class Program:
    """One line of the Procfile and the process that runs it now."""

    name: str
    command: str
    backoff: Backoff = field(default_factory=Backoff)
    process: Popen | None = None
    reader: threading.Thread | None = None
    started: float = 0.0
    due: float = 0.0


class Supervisor:
    """Several processes and one screen. Use it in the main thread: the processes end with the thread that started them."""

    def __init__(
        self,
        commands: Mapping[str, str],
        environ: Mapping[str, str],
        screen: Screen,
        files: LogFiles,
        own: Callable[[str], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self._own = own
        self.screen = screen
        self._files = files
        self._keeping = True
        self._programs = [Program(name, command) for name, command in commands.items()]
        self._environ = dict(environ) | {"PYTHONUNBUFFERED": "1"}
        # Names of processes and lines of theirs.
        self._lines: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()

    def say(self, text: str) -> None:
        """Show and keep lines of our own among those of the processes."""
        for line in text.splitlines():
            self.screen.line(self.screen.own_name, line)
            self._keep(self.screen.own_name, f"[{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}] {line}".encode())

    def step(self) -> None:
        """Start processes that are due, note those that died, and print output for a moment."""
        now = time.monotonic()
        for program in self._programs:
            if program.process is None and now >= program.due:
                self._start(program)
            elif program.process is not None and program.process.poll() is not None:
                code = self._reap(program)
                delay = program.backoff.after(now - program.started)
                program.due = now + delay
                self.say(f"{program.name} ended ({describe(code)}); starting it again in {delay:g} s")
        self._print(PACE_S)

    def stop(self, stages: Sequence[Iterable[str]]) -> None:
        """End the processes stage by stage; those that no stage names end last."""
        named = {name for stage in stages for name in stage}
        for stage in [*map(set, stages), {p.name for p in self._programs} - named]:
            ending = [program for program in self._programs if program.name in stage and program.process is not None]
            for program in ending:
                assert program.process is not None  # noqa: S101
                program.process.terminate()
            deadline = time.monotonic() + PATIENCE_S
            while ending := [p for p in ending if p.process is not None and p.process.poll() is None]:
                if time.monotonic() > deadline:
                    self.say(f"{', '.join(p.name for p in ending)} did not stop in {PATIENCE_S:g} s; killed")
                    _kill(ending)
                self._print(PACE_S)
            for program in self._programs:
                if program.name in stage and program.process is not None:
                    self._reap(program)
        self._print(0)

    def kill(self) -> None:
        """Kill all processes with their children. A signal handler may call this."""
        _kill(self._programs)

    def _start(self, program: Program) -> None:
        process = Popen(
            program.command,
            env={**self._environ, **self._own(program.name)},
            # It is killed at once with us: an orderly end would wait for a broker that is gone too.
            preexec_fn=ends_with_parent(signal.SIGKILL),
        )
        program.process, program.started = process, time.monotonic()
        program.reader = threading.Thread(target=self._read, args=(program.name, process), daemon=True)
        program.reader.start()

    def _read(self, name: str, process: Popen) -> None:
        with process.stdout as lines:
            for line in lines:
                self._lines.put((name, line))

    def _reap(self, program: Program) -> int:
        """Reap a process that ended, and kill children that it left: their output would keep the reader waiting."""
        assert program.process is not None  # noqa: S101
        assert program.reader is not None  # noqa: S101
        code: int = program.process.wait()
        _kill([program])
        program.reader.join(timeout=5)
        program.process = program.reader = None
        return code

    def _print(self, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        with suppress(queue.Empty):
            while True:
                name, line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
                self._keep(name, line)
                text = log_lines.shown(line.decode(errors="replace").rstrip("\r\n"))
                if text is not None:
                    self.screen.line(name, text)

    def _keep(self, name: str, line: bytes) -> None:
        """Write a line to its file. A disk that is full is said once, until lines can be written again."""
        try:
            self._files.write(name, line)
        except OSError as error:
            if self._keeping:
                where = f"{self._files.directory}: {error.strerror}"
                self.screen.line(
                    self.screen.own_name, f"WARNING the logs cannot be written to {where}; they are shown here only"
                )
            self._keeping = False
        else:
            self._keeping = True


def describe(code: int) -> str:
    """An exit code in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _kill(programs: Iterable[Program]) -> None:
    for program in programs:
        if program.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(program.process.pid, signal.SIGKILL)
