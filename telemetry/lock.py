"""A lock on a directory: a file `lock` that names its holder, held for as long as a process has it open.

The kernel releases it when the last such process ends, so a crash or a reboot leaves no stale lock. A child that inherits the
file keeps the directory locked. What a locked directory means is up to those who lock it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

NAME = "lock"
# The children of a killed process end within this time.
ORPHANS_S = 10.0


class HeldError(RuntimeError):
    """The directory is locked by another living process."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by process {holder}")
        self.holder = holder


def hold(directory: Path) -> IO[str]:
    """Lock a directory, until the file returned is closed. Waits for the children of a dead holder. Raises HeldError."""
    file = (directory / NAME).open("a+", encoding="utf-8")
    deadline = time.monotonic() + ORPHANS_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            if _is_another(holder) or time.monotonic() > deadline:
                file.close()
                raise HeldError(holder or "unknown") from None
            time.sleep(0.02)
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def is_held(directory: Path) -> bool:
    """Whether any process has locked a directory."""
    try:
        with (directory / NAME).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _is_another(holder: str) -> bool:
    """Whether the holder is a living process other than this one. Our own pid was left by a child of ours."""
    try:
        os.kill(int(holder), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return int(holder) != os.getpid()
