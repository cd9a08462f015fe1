"""How far this machine's clock is from a server's. How long the question takes bounds how well that is known."""

from __future__ import annotations

import time
from collections.abc import Callable

from telemetry.doctor.finding import Judgement, failed, ok, warning

# Leases and the supervision of fetched messages are judged in tens of seconds.
WARN_S, FAIL_S = 2.0, 30.0
MEND = "set both clocks by NTP: `chronyc tracking` or `timedatectl` show whether this one is"


def ask(server_s: Callable[[], float]) -> Judgement:
    """Compare the clocks."""
    begin = time.time()
    there = server_s()
    end = time.time()
    return judge(there - (begin + end) / 2, (end - begin) / 2)


def judge(ahead_s: float, uncertain_s: float) -> Judgement:
    """What a difference means: the part of it that the time of the question cannot explain."""
    sure_s = max(0.0, abs(ahead_s) - uncertain_s)
    way = "ahead of" if ahead_s > 0 else "behind"
    if sure_s >= FAIL_S:
        return failed(f"its clock is {abs(ahead_s):.0f} s {way} this machine's", MEND)
    if sure_s >= WARN_S:
        return warning(f"its clock is {abs(ahead_s):.1f} s {way} this machine's", MEND)
    return ok(f"its clock is {abs(ahead_s) * 1000:.0f} ms {way} this machine's, give or take {uncertain_s * 1000:.0f} ms")
