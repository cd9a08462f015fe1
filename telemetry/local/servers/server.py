"""One server process in a directory of its own: held by a lock, watched until it answers, stopped in good order.

The directory holds `lock` (its process inherits it, so the lock tells whether any part of the server is alive), `log`,
`run/` (the socket) and `data/`. A subclass knows the program: its command, its options and how to ask whether it answers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Self

from telemetry import lock
from telemetry.local.lifeline import ends_with_parent

# Long enough for a recovery after a crash.
READY_S = 300.0
LOG_BYTES = 16 << 20


class ServerError(RuntimeError):
    """A server that cannot be started; the text is one line for the user."""


class Server(ABC):
    """A server that runs while this object is started. It ends with the thread that started it, so use the main one."""

    name: ClassVar[str]
    # Signals that end it and the seconds each is given; SIGKILL follows by itself.
    farewell: ClassVar[tuple[tuple[signal.Signals, float], ...]]

    def __init__(self, directory: Path) -> None:
        self.directory = directory.expanduser().absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it can be reached, in the form that the settings take."""

    @abstractmethod
    def _command(self) -> tuple[Sequence[str], dict[str, Any]]:
        """Prepare the directory. Returns the command, and further options for Popen."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it can be used now; it may take 5 s to say no."""

    @abstractmethod
    def _clean(self) -> None:
        """Remove files that are useless once it has stopped."""

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def log(self) -> Path:
        """The file that its messages go to."""
        return self.directory / "log"

    def start(self) -> None:
        """Start it, or start it again after it died, and wait until it answers. Raises ServerError if it cannot run here."""
        if self.pid is not None:
            return
        try:
            self._hold()
            self._spawn()
            self._await()
        except OSError as error:
            self.stop()
            raise ServerError(f"{self.name} cannot be started in {self.directory}: {error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it, by force in the end. Does nothing unless it is started."""
        process = self._process
        if process is not None:
            for sign, patience in (*self.farewell, (signal.SIGKILL, READY_S)):
                process.send_signal(sign)
                try:
                    process.wait(patience)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._process = None
        if self._lock is not None:
            self._clean()
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """End it at once; a `stop` that is waiting for it goes on. It recovers at its next start."""
        if self._process is not None:
            self._process.kill()
            # Otherwise a `start` that comes soon would take it for a running server.
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _hold(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is not None:
            # Children of a server that died still hold this lock. Only a new lock tells when they are gone.
            self._lock.close()
            self._lock = None
        try:
            self._lock = lock.hold(self.directory)
        except lock.HeldError as error:
            raise ServerError(
                f"{self.name} is already running in {self.directory} (process {error.holder});"
                " stop it first, or choose another data directory"
            ) from None

    def _spawn(self) -> None:
        command, options = self._command()
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_name("log.1"))
        assert self._lock is not None  # noqa: S101
        with self.log.open("ab") as log:
            # It has a session of its own: a Ctrl-C in the terminal must not end it before its users.
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=environment(),
                pass_fds=[self._lock.fileno()],
                start_new_session=True,
                preexec_fn=ends_with_parent(self.farewell[0][0]),  # noqa: PLW1509 (it only makes a system call)
                **options,
            )

    def _await(self) -> None:
        deadline = time.monotonic() + READY_S
        while not self.answers():
            if self.pid is None or time.monotonic() > deadline:
                raise ServerError(f"{self.name} did not start in {self.directory}: {_last_words(self.log)}")
            time.sleep(0.01)


def environment() -> dict[str, str]:
    """The environment of a server. Ours may hold secrets, and PG… variables that would mislead it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _last_words(log: Path) -> str:
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - 2000))
        return " | ".join(lines.read().decode(errors="replace").splitlines()[-4:]) or f"nothing in {log}"
