"""Runs checks: the courses side by side, the checks of one course one after another, each with a deadline.

A check that hangs is left behind in a thread that does not keep the process, and ends its course: what it holds, such as a
connection, is of no use to the checks behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import TypeVar

from telemetry.doctor.finding import Finding, Judgement, failed

T = TypeVar("T")

CHECK_S = 4.0
TOTAL_S = 15.0


@dataclass(frozen=True, slots=True)
class Check:
    """One question. The checks behind a vital one make sense only where it did not fail."""

    name: str
    ask: Callable[[], Judgement]
    vital: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """The checks of one part, in their order."""

    part: str
    checks: Sequence[Check]


def run(courses: Sequence[Course], *, check_s: float = CHECK_S, total_s: float = TOTAL_S) -> list[Finding]:
    """All findings, in the order of the courses. It takes `total_s` at most."""
    until = time.monotonic() + total_s
    running = [_started(lambda course=course: list(_findings(course, check_s, until))) for course in courses]  # type: ignore[misc]
    return [finding for future in running for finding in future.result()]


def _findings(course: Course, check_s: float, until: float) -> Iterator[Finding]:
    broken: str | None = None
    for check in course.checks:
        if broken is None:
            patience_s = min(check_s, until - time.monotonic())
            judgement, hangs = _asked(check, patience_s) if patience_s > 0 else (_late(0.0), True)
            if hangs or (check.vital and judgement.verdict == "failed"):
                broken = check.name
        else:
            judgement = Judgement("skipped", f"not asked, as the check before failed: {broken}")
        yield Finding(course.part, check.name, judgement)


def _asked(check: Check, patience_s: float) -> tuple[Judgement, bool]:
    """What a check says, and whether it hangs."""
    try:
        return _started(check.ask).result(patience_s), False
    except TimeoutError:
        return _late(patience_s), True
    except Exception as error:  # noqa: BLE001 - a check that fails unexpectedly is a finding, and the others go on
        return failed(
            f"the check broke off: {type(error).__name__}: {error}", "the sentence before names the cause; mend that"
        ), False


def _late(patience_s: float) -> Judgement:
    return failed(
        f"no answer within {patience_s:.1f} s",
        "see whether the other side is frozen or overloaded, and whether the network between drops packets",
    )


def _started(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised again where the result is awaited
            future.set_exception(error)
        else:
            future.set_result(result)

    Thread(target=run, daemon=True).start()
    return future
