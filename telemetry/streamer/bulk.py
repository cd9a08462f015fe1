"""How a process is set up that reads very much: Python's and the C library's memory."""

from __future__ import annotations

import ctypes
import gc

# glibc's parameters of mallopt: https://man7.org/linux/man-pages/man3/mallopt.3.html
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, LARGEST_BYTES = 256 << 20, 32 << 20
GARBAGE_OBJECTS = 50_000


def prepare() -> None:
    """Look for garbage seldom, as reading makes no cycles, and keep what is freed: new pages for each block are slow to get."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
