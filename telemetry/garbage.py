"""Python's garbage collector where a process lives for long: what is there for good is not looked through again and again.

A worker keeps some 140,000 objects from its start, and a full collection walks over them all: 90 to 140 ms in which a
collector's loop stands still, every few seconds under load. Frozen, they are left out, and their pages stay shared with
the pool.
"""

from __future__ import annotations

import gc
from typing import Any

from celery import signals


def settle(**_: Any) -> None:
    """Take all that is alive now for something that stays (https://docs.python.org/3/library/gc.html#gc.freeze)."""
    gc.collect()
    gc.freeze()


def install() -> None:
    """Settle each process of Celery: before its pool is forked, in the pool, and when all is set up."""
    for signal in (signals.worker_init, signals.worker_process_init, signals.worker_ready, signals.beat_init):
        signal.connect(settle)
