"""How many descriptors this process may have: raises the limit at the start, and says how many of them files may take.

A limit of 1,024 is common, and connections need some of it: a worker that cannot connect to its broker ends.
"""

from __future__ import annotations

import errno
import resource

# For connections, the metrics port, logs and the libraries: a worker of an edge has about 40 of them open.
RESERVE = 128
# Where there is no limit, this one is enough.
UNLIMITED = 1 << 20
# macOS calls the hard limit infinite, and takes no more than this as the soft one (OPEN_MAX in sys/syslimits.h).
MACOS_LIMIT = 10_240
# Errors of a process, and of a machine, that has no descriptor left.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})


def raise_limit() -> None:
    """Raise the soft limit of this process to its hard one. Programs that it starts inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        if soft < MACOS_LIMIT:
            resource.setrlimit(resource.RLIMIT_NOFILE, (MACOS_LIMIT, hard))


def limit() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def for_files() -> int:
    """How many of them the sources may take together."""
    return max(limit() // 2, limit() - RESERVE)
