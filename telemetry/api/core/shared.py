"""What many ask for at once is looked up once: answers that a process keeps for a moment.

Whoever comes while one is being made waits for it, and shares its failure, too: of those that wait, nobody tries in turn. Only
what is the same for every reader may be kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from math import inf
from threading import Lock
from time import monotonic
from typing import Any, TypeVar, cast

from flask import current_app

T = TypeVar("T")
# So many questions are remembered; those asked longest ago go first.
MOST = 64


@dataclass(slots=True)
class _Kept:
    """An answer, or the error of whoever makes it; until when it is given to others, which is for good while it is made."""

    answer: Future[Any]
    until_s: float = inf


class Shared:
    """The answers of one process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[Hashable, _Kept] = {}

    def get(
        self, question: Hashable, lasts_s: float, make: Callable[[], T], longer_s: Callable[[T], float] = lambda _: 0.0
    ) -> T:
        """The answer to a question, no older than `lasts_s`, or than `longer_s` says of it where that is more.

        Raises what `make` raises, to all who wait for it, and keeps nothing then.
        """
        with self._lock:
            kept = self._kept.pop(question, None)
            is_maker = kept is None or monotonic() >= kept.until_s
            if kept is None or is_maker:
                kept = _Kept(Future())
            self._kept[question] = kept
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
        if is_maker:
            try:
                value = make()
                kept.until_s = monotonic() + max(lasts_s, longer_s(value))
                kept.answer.set_result(value)
            except BaseException as error:
                with self._lock:
                    if self._kept.get(question) is kept:
                        del self._kept[question]
                kept.answer.set_exception(error)
                raise
        return cast("T", kept.answer.result())


def shared() -> Shared:
    """The answers of the application that serves this request."""
    return cast("Shared", current_app.extensions.setdefault("shared", Shared()))
