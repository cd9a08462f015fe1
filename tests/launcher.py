"""A process that forks commands of the product. To start one of them anew is to import modules, for most of its time.

It has imported the libraries, and what of ours reads no settings when it is imported: to import that changes nothing, and no
modules import each other in a circle, so the order does not matter. It is told over the socket that is its standard input
what to start: a JSON object after its length, with the descriptors that become standard output and error of the command, and
one to report to. There the command's process id is written, and its exit status when it has ended. `tests.launching` is the
other end. It ends with that.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import telemetry

LENGTH = struct.Struct("!I")
COMMANDS = {"celery": "celery.__main__:main", "gunicorn": "gunicorn.app.wsgiapp:run", "telemetry": "telemetry.cli:main"}
# Modules that read the settings, and packages that only commands need that a person waits for.
AT_START, RARE = {"tasks", "schedule", "gunicorn_conf"}, ("telemetry.deploy", "telemetry.cli.deploy")
# What Celery and gunicorn import late.
LIBRARIES = [
    *("celery.apps.beat", "celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork", "celery.concurrency.solo"),
    *("celery.worker.consumer", "gunicorn.app.wsgiapp", "gunicorn.workers.gthread", "kombu.transport.redis", "pyarrow.parquet"),
    *("sqlalchemy.dialects.postgresql.psycopg",),
]


def serve(control: socket.socket) -> Callable[[], int | None]:
    """Start what is asked for until nobody asks any more; returns only in a process that was forked, with its command."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    reports: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            reap(reports)
        if control.fileno() in ready:
            asked = received(control)
            if asked is None:
                sys.exit()
            request, (out, err, report) = asked
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                # Otherwise its end would close what is standard input by then.
                control.detach()
                return become(request, out, err)
            os.write(report, f"{pid}\n".encode())
            reports[pid] = report
            os.close(out)
            os.close(err)


def received(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next request and its descriptors; None at the end."""
    head, descriptors, _, _ = socket.recv_fds(control, LENGTH.size, 3)
    if not head:
        return None
    body, size = b"", LENGTH.unpack(head)[0]
    while len(body) < size:
        body += control.recv(size - len(body))
    return json.loads(body), descriptors


def reap(reports: dict[int, int]) -> None:
    """Tell of those that have ended."""
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        report = reports.pop(pid)
        # Nobody may ask any more.
        with suppress(BrokenPipeError):
            os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os.close(report)


def become(request: dict[str, Any], out: int, err: int) -> Callable[[], int | None]:
    """Make this process what a new one would be; its command."""
    if request["own_session"]:
        os.setsid()
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.closerange(3, 1 << 16)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    program, *arguments = request["command"]
    sys.argv = [program, *arguments]
    sys.path[0] = str(Path(program).parent)
    module, _, name = COMMANDS[Path(program).name].partition(":")
    command: Callable[[], int | None] = getattr(importlib.import_module(module), name)
    return command


if __name__ == "__main__":
    ours = [module.name for module in pkgutil.walk_packages(telemetry.__path__, "telemetry.")]
    for name in [*LIBRARIES, *ours]:
        if name.rpartition(".")[2] not in AT_START and not name.startswith(RARE):
            importlib.import_module(name)
    # Their pages stay shared, and no command looks for garbage among them.
    gc.collect()
    gc.freeze()
    command = serve(socket.socket(fileno=0))
    sys.exit(command())
