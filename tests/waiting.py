"""Waiting for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], timeout_s: float = 10.0, *, every_s: float = 0.02, what: str = "") -> T:
    """The first true value of `condition`; an AssertionError in it counts as not yet. Fails at the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if value := condition():
                return value
            failure = AssertionError(f"{what or 'the condition'} is still {value!r} after {timeout_s:g} s")
        except AssertionError as error:
            failure = error
        if time.monotonic() >= deadline:
            raise failure
        time.sleep(every_s)
