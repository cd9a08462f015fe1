"""What many ask for at once is looked up once: answers that a process keeps for a moment.

Whoever comes while one is being made waits for it. Only what is the same for every reader may be kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any, TypeVar, cast

from flask import current_app

T = TypeVar("T")
# So many questions are remembered; those asked longest ago go first.
MOST = 64


@dataclass(slots=True)
class _Kept:
    lock: Lock = field(default_factory=Lock)
    value: Any = None
    until_s: float = 0.0


class Shared:
    """The answers of one process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[Hashable, _Kept] = {}

    def get(
        self, question: Hashable, lasts_s: float, make: Callable[[], T], longer_s: Callable[[T], float] = lambda _: 0.0
    ) -> T:
        """The answer to a question, no older than `lasts_s`, or than `longer_s` says of it where that is more.

        Raises what `make` raises, and keeps nothing then.
        """
        with self._lock:
            kept = self._kept.pop(question, None) or _Kept()
            self._kept[question] = kept
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
        with kept.lock:
            if monotonic() >= kept.until_s:
                kept.value = make()
                kept.until_s = monotonic() + max(lasts_s, longer_s(kept.value))
            return cast("T", kept.value)


def shared() -> Shared:
    """The answers of the application that serves this request."""
    return cast("Shared", current_app.extensions.setdefault("shared", Shared()))
