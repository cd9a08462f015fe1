"""Checks run within a bound, and what stands behind a failed one is not asked."""

from __future__ import annotations

import threading
import time

from telemetry.doctor.course import Check, Course, run
from telemetry.doctor.finding import Judgement, failed, ok

SILENCE = threading.Event()


def hangs() -> Judgement:
    SILENCE.wait(60)
    return ok("late")


def raises() -> Judgement:
    raise RuntimeError("a fault of the check")


def verdicts(*checks: Check, total_s: float = 15) -> list[str]:
    return [finding.judgement.verdict for finding in run([Course("p", checks)], check_s=0.2, total_s=total_s)]


def test_what_stands_behind_a_vital_check_that_failed_is_skipped() -> None:
    no = Check("no", lambda: failed("no", "mend"), vital=True)
    assert verdicts(Check("yes", lambda: ok("yes")), no, Check("behind", raises)) == ["ok", "failed", "skipped"]


def test_other_failures_do_not_keep_the_rest_from_being_asked() -> None:
    assert verdicts(Check("no", raises), Check("behind", lambda: ok("yes"))) == ["failed", "ok"]


def test_a_check_that_hangs_ends_its_course_and_no_other() -> None:
    courses = [
        Course("a", [Check("hangs", hangs), Check("behind", lambda: ok("yes"))]),
        Course("b", [Check("c", lambda: ok("yes"))]),
    ]
    begin = time.monotonic()
    found = [(each.part, each.judgement.verdict) for each in run(courses, check_s=0.2)]
    assert found == [("a", "failed"), ("a", "skipped"), ("b", "ok")]
    assert time.monotonic() - begin < 5


def slow() -> Judgement:
    SILENCE.wait(0.15)
    return ok("slow")


def test_all_of_it_is_bounded() -> None:
    begin = time.monotonic()
    assert verdicts(*[Check(str(number), slow) for number in range(40)], total_s=0.5).count("failed") == 1
    assert time.monotonic() - begin < 3
