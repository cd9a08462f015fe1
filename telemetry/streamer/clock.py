"""The edge's monotonic clock, shared by all processes of one boot of a machine."""

from __future__ import annotations

import time
import uuid
from functools import cache
from pathlib import Path

from telemetry.progress.flight import Clock

# Linux: https://docs.kernel.org/admin-guide/sysctl/kernel.html#random
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def _boot() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        # Elsewhere the age of what another process published is unknown, which counts as old.
        return uuid.uuid4().hex


def ahead_us(now_us: int) -> int:
    """How far this machine's clock is ahead of another one."""
    return time.time_ns() // 1000 - now_us


def now() -> Clock:
    """Now."""
    return Clock(time.monotonic(), _boot())
