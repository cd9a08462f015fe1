"""Starts commands of the product quickly: forked from a process that has imported their modules, see `tests.launcher`."""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from tests.launcher import COMMANDS, LENGTH

BIN = Path(sys.executable).parent
PROGRAM = Path(__file__).with_name("launcher.py")
# What the interpreter, the loader and NumPy read when a process starts: where a test sets one of them, it starts anew.
READ_AT_START = ("PYTHON", "LD_", "MALLOC_", "OPENBLAS_")


@cache
def launcher() -> socket.socket:
    """The way to the launcher of this process. It ends with this process."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen([sys.executable, str(PROGRAM)], stdin=theirs.fileno(), start_new_session=True)

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


class Launched(subprocess.Popen[bytes]):
    """A command that was forked: the launcher's child, and to its test like one of its own."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        directory: Path,
        out: IO[bytes],
        err: IO[bytes],
        *,
        own_session: bool,
    ) -> None:
        self.args: Sequence[str] = command
        self.returncode: int | None = None
        self.stdin = self.stdout = self.stderr = None
        # By this Popen's finalizer knows that there is nothing to do.
        self._child_created = False
        asked = {"command": command, "environ": dict(environ), "directory": str(directory), "own_session": own_session}
        body = json.dumps(asked).encode()
        read, write = os.pipe()
        self._report = os.fdopen(read, "rb")
        try:
            socket.send_fds(launcher(), [LENGTH.pack(len(body))], [out.fileno(), err.fileno(), write])
            launcher().sendall(body)
        finally:
            os.close(write)
        self.pid = int(self._report.readline())

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired if that does not come."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _ended(self, timeout_s: float | None) -> int | None:
        if self.returncode is None:
            # Unlike `select` it takes any number of a descriptor.
            report = select.poll()
            report.register(self._report, select.POLLIN)
            if report.poll(None if timeout_s is None else 1000 * timeout_s):
                with self._report:
                    self.returncode = int(self._report.readline())
        return self.returncode

    def __del__(self) -> None:
        self._report.close()


def start(
    command: Sequence[str],
    environ: Mapping[str, str],
    directory: Path,
    out: IO[bytes],
    err: IO[bytes] | None = None,
    *,
    own_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a command of the environment that runs the tests; without `err` its errors go where its output goes."""
    words = [str(BIN / command[0]), *command[1:]]
    if command[0] in COMMANDS and sys.platform == "linux" and _at_start(environ) == _at_start(os.environ):
        return Launched(words, environ, directory, out, err or out, own_session=own_session)
    return subprocess.Popen(
        words, env=environ, cwd=directory, stdout=out, stderr=err or subprocess.STDOUT, start_new_session=own_session
    )


def run(command: Sequence[str], environ: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Raises TimeoutExpired if that does not come."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start(command, environ, Path.cwd(), out, err, own_session=False)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return subprocess.CompletedProcess(command, code, _text(out), _text(err))


def _at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(READ_AT_START)}


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n").replace("\r", "\n")
