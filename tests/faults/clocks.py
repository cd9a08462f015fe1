"""Another clock for a process: a module that Python imports at its start."""

from __future__ import annotations

# Python imports it at its start, from a directory on PYTHONPATH: the whole process lives at another time.
SITECUSTOMIZE = """
import datetime, time

SHIFT_S = {shift_s}
true_time, true_time_ns, true_datetime = time.time, time.time_ns, datetime.datetime


class Kind(type):
    def __instancecheck__(cls, each):
        return isinstance(each, true_datetime)


class Shifted(true_datetime, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return true_datetime.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return true_datetime.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)

    today = now


time.time = lambda: true_time() + SHIFT_S
time.time_ns = lambda: true_time_ns() + SHIFT_S * 10**9
datetime.datetime = Shifted
open({witness!r}, "a").write("imported\\n")
"""
