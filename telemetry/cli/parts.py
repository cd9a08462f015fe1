"""Asks a part of the system that may be frozen, for a command that must answer: an error or a silence is a result too.

Which parts there are, and what they are asked, is `overview`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from time import monotonic
from typing import Generic, TypeVar

import click

T = TypeVar("T")

# A healthy part answers within some 0.1 s. With one of them frozen `status` still ends within 5 s.
PATIENCE_S = 2.0


@dataclass(frozen=True)
class Part(Generic[T]):
    """What a part said: its answer, or the fault that kept it from one."""

    answer: T | None
    fault: str | None


class Question(Generic[T]):
    """A question to a part, asked at once, in a thread of its own."""

    def __init__(self, name: str, ask: Callable[[], T]) -> None:
        self._name = name
        self._future: Future[T] = Future()
        self._asked_s = monotonic()
        # A daemon thread: one that hangs must not keep the command from ending.
        Thread(target=self._run, args=[ask], daemon=True).start()

    def part(self, patience_s: float = PATIENCE_S) -> Part[T]:
        """The answer. A ClickException, or no answer within a time since it was asked, becomes the fault; others are raised."""
        try:
            return Part(self._future.result(max(0.0, self._asked_s + patience_s - monotonic())), None)
        except TimeoutError:
            return Part(None, f"the {self._name} does not answer within {patience_s:g} s: it is frozen or overloaded")
        except click.ClickException as error:
            return Part(None, error.message)

    def _run(self, ask: Callable[[], T]) -> None:
        try:
            self._future.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised again where the answer is awaited
            self._future.set_exception(error)
