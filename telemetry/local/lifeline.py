"""Ties a child to the process that starts it: on Linux the kernel signals the child when its parent is killed.

Elsewhere a killed parent leaves its children; an orderly end, which is the parent's own work, does not need this.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def ends_with_parent(sign: signal.Signals) -> Callable[[], None] | None:
    """For Popen's `preexec_fn`. The tie is to the thread that starts the child, so that must be one that stays."""
    if sys.platform != "linux":
        return None
    # Looked up before the fork: between fork and exec only the system calls themselves are safe.
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie
