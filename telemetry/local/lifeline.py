"""Ties a child to the process that starts it: on Linux the kernel signals the child when its parent is killed.

On other systems a killed parent leaves its children running. An orderly end does not need this: the parent ends its children.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def ends_with_parent(sign: signal.Signals) -> Callable[[], None] | None:
    """For Popen's `preexec_fn`. The child is tied to the thread that starts it, so that thread must not end early."""
    if sys.platform != "linux":
        return None
    # Found before the fork, as only system calls are safe between fork and exec.
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie
