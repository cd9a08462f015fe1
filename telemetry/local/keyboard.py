"""Enter, pressed by a person who looks at a command in the foreground of a terminal."""

from __future__ import annotations

import os
import select
import sys


def enter_pressed() -> bool:
    """Whether Enter was pressed since the last call. Never waits. False where standard input is not a terminal of ours."""
    try:
        descriptor = sys.stdin.fileno()
        # A process in the background is stopped by the kernel when it reads from the terminal.
        if not os.isatty(descriptor) or os.tcgetpgrp(descriptor) != os.getpgrp():
            return False
        readable, _, _ = select.select([descriptor], [], [], 0)
        return bool(readable and os.read(descriptor, 1024))
    except (AttributeError, OSError, ValueError):
        # There is no standard input, or it was closed.
        return False
