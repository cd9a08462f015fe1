"""Which hours a collector marks, and when it may leave a mark out."""

from __future__ import annotations

import pytest

from telemetry.store.write.allocations import MINUTE_BITS
from telemetry.store.write.usage_marks import LATE_S, UsageMarks
from telemetry.store.write.use_ids import Use

# Two owners of one GPU, and one of another.
USES = [Use(7, "", 1), Use(7, "", 2), Use(9, "", 1)]
# An hour, counted from 1970.
HOUR = 500_000


def at(use: int, minute: int) -> int:
    """A reading's use and minute after HOUR begins, as one number."""
    return (use << MINUTE_BITS) + HOUR * 60 + minute


def marked(marks: UsageMarks, *codes: int) -> list[tuple[int, int]]:
    """The marks that a group commits: GPU, and hours after HOUR."""
    of = marks.of(sorted(codes), USES, MINUTE_BITS)
    marks.committed(of)
    return [(gpu, hour - HOUR) for gpu, hour in of]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The clock, in minutes after HOUR begins."""
    clock = {"minute": 30.0}
    monkeypatch.setattr("telemetry.store.write.usage_marks.time.time", lambda: (HOUR * 60 + clock["minute"]) * 60)
    return clock


@pytest.mark.usefixtures("now")
def test_an_hour_is_marked_once_a_gpu_while_it_lasts() -> None:
    marks = UsageMarks()
    assert marked(marks, at(0, 20), at(1, 21), at(2, 22)) == [(7, 0), (9, 0)]
    assert marked(marks, at(0, 23), at(1, 24)) == []
    assert marked(marks) == []


@pytest.mark.usefixtures("now")
def test_a_reading_near_an_end_marks_the_next_hour_too() -> None:
    assert marked(UsageMarks(), at(0, 3)) == [(7, -1), (7, 0)]
    assert marked(UsageMarks(), at(0, 52)) == [(7, 0), (7, 1)]


def test_what_comes_late_is_marked_each_time(now: dict[str, float]) -> None:
    marks = UsageMarks()
    assert marked(marks, at(0, 30)) == [(7, 0)]
    now["minute"] = 60 + LATE_S / 60 - 1
    assert marked(marks, at(0, 31)) == []
    now["minute"] += 2
    # Beside readings of the hour that lasts, too.
    assert marked(marks, at(0, 32), at(0, 71)) == [(7, 0), (7, 1)]
    assert marked(marks, at(0, 32), at(0, 72)) == [(7, 0)]
