"""What many ask for at once: it is made once, and so is its failure."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic

import pytest

from telemetry.api.core.shared import Shared
from tests.waiting import eventually

READERS = 10
MAKING_S = 0.2


class Slow:
    """What takes a while, and then fails as long as it is told to."""

    def __init__(self) -> None:
        self.began, self.may_end = Event(), Event()
        self.calls = 0
        self.fails = True

    def __call__(self) -> int:
        self.calls += 1
        self.began.set()
        assert self.may_end.wait(10)
        if self.fails:
            raise TimeoutError("it took too long")
        return self.calls


def waiting(shared: Shared) -> int:
    """How many threads wait for the answer that is being made."""
    (kept,) = shared._kept.values()
    return len(kept.answer._condition._waiters)  # type: ignore[attr-defined]


def test_those_who_wait_share_the_failure_and_the_next_one_tries_anew() -> None:
    shared, make = Shared(), Slow()
    with ThreadPoolExecutor(READERS) as readers:
        asked = [readers.submit(shared.get, "question", 60.0, make)]
        assert make.began.wait(10)
        asked += [readers.submit(shared.get, "question", 60.0, make) for _ in range(READERS - 1)]
        eventually(lambda: waiting(shared) == READERS - 1, 10, what="all of them wait")
        began_s = monotonic()
        make.may_end.set()
        errors = {type(one.exception(10)) for one in asked}
    assert (errors, make.calls, monotonic() - began_s < MAKING_S * READERS) == ({TimeoutError}, 1, True)
    make.fails = False
    assert [shared.get("question", 60.0, make) for _ in range(3)] == [2, 2, 2]


def test_an_answer_is_made_anew_once_it_is_old() -> None:
    shared, numbers = Shared(), iter(range(9))
    assert [shared.get("question", 0.0, lambda: next(numbers)) for _ in range(2)] == [0, 1]
    assert [shared.get("other", 0.0, lambda: next(numbers), lambda _: 60.0) for _ in range(2)] == [2, 2]


@pytest.mark.parametrize("error", [KeyError("a fault"), SystemExit()])
def test_a_failure_is_not_kept(error: BaseException) -> None:
    shared = Shared()

    def fails() -> int:
        raise error

    with pytest.raises(type(error)):
        shared.get("question", 60.0, fails)
    assert shared.get("question", 60.0, lambda: 7) == 7
