"""Where a process and the children it forks count together: files of prometheus_client, one a process, in memory.

A child that is killed leaves its file, so nothing it counted is lost, and whoever reads adds up the living and the dead.
The directory belongs to one process with all it forks; a lock tells the next one that nobody uses it any more.
Why so: docs/decisions/0004-metrics-of-forked-workers.md.
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

MEMORY = Path("/dev/shm")  # noqa: S108 - each directory is made anew, with a random name, for its user alone
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def share() -> Path:
    """Make the directory of this process and of all it will fork. Call it before anything is counted and before a fork."""
    root, prefix = _root(), _prefix()
    for left in root.glob(f"{prefix}*"):
        if not lock.is_held(left):
            shutil.rmtree(left, ignore_errors=True)
    # It gets its name once it is locked, or another process that starts now could take it for one left behind.
    unnamed = Path(tempfile.mkdtemp(prefix=f"new-{prefix}", dir=root))
    held, owner = lock.hold(unnamed), os.getpid()
    made = unnamed.rename(root / unnamed.name.removeprefix("new-"))
    os.environ[VARIABLE] = str(made)
    join()

    def remove() -> None:
        # Children inherit this, and must leave the directory to the one that made it.
        if os.getpid() == owner:
            held.close()
            with suppress(OSError):
                shutil.rmtree(made)

    atexit.register(remove)
    return made


def join() -> None:
    """Count in the directory from here on: in the process that made it, and in a child that has lost what files it had open."""
    # What prometheus_client decides at its import; a class given later is its documented way for other servers.
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def directory() -> Path | None:
    """The directory that was made, None if nothing is shared."""
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None


def _root() -> Path:
    return MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def _prefix() -> str:
    return f"telemetry-metrics-{os.getuid()}-"
