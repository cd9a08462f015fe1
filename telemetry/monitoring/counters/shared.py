"""The directory in which a process and the children it forks count together: files of prometheus_client, one a process.

It lies in memory. A child that is killed leaves its file, so nothing that it counted is lost: a reader adds up the files of the
living and the dead. The directory belongs to one process and all that it forks. It is locked while one of them is alive, so
that the next process knows which directories are left over. Why: docs/decisions/0004-metrics-of-forked-workers.md.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from prometheus_client import values

from telemetry import lock

MEMORY = Path("/dev/shm")  # noqa: S108 - each directory is new, has a random name, and is private to its user
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def share() -> Path:
    """Make the directory of this process and of all it will fork. Call it before anything is counted and before a fork."""
    root, prefix = _root(), _prefix()
    for other in root.glob(f"{prefix}*"):
        if not lock.is_held(other):
            shutil.rmtree(other, ignore_errors=True)
    # It gets its final name once it is locked: another process that starts now would remove an unlocked one.
    unnamed = Path(tempfile.mkdtemp(prefix=f"new-{prefix}", dir=root))
    held, owner = lock.hold(unnamed), os.getpid()
    shared = unnamed.rename(root / unnamed.name.removeprefix("new-"))
    os.environ[VARIABLE] = str(shared)
    join()

    def remove() -> None:
        # Children inherit this exit handler. The directory is removed by the process that made it.
        if os.getpid() == owner:
            held.close()
            with suppress(OSError):
                shutil.rmtree(shared)

    atexit.register(remove)
    return shared


def join() -> None:
    """Count in the directory from here on. For the process that made it, and for a child whose open files were closed."""
    # prometheus_client decides this at its import. To set the class later is its documented way for other servers.
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def directory() -> Path | None:
    """The directory of this process, None if nothing is shared."""
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None


def _root() -> Path:
    return MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def _prefix() -> str:
    return f"telemetry-metrics-{os.getuid()}-"
