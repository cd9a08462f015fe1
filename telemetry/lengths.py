"""How lengths of time are written, everywhere: `30s`, `5m`, `2h`, `14d`, `2w`, or a number of seconds. Pure.

The longest of each unit last more than a century, and less than the years that Python and Postgres know.
"""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Digits of the largest number of each unit.
DIGITS = {"s": 10, "m": 8, "h": 6, "d": 5, "w": 4}
# As JSON Schema has it, too.
PATTERN = "|".join(f"[1-9][0-9]{{0,{most - 1}}}{unit}{'?' if unit == 's' else ''}" for unit, most in DIGITS.items())
LENGTH = re.compile(PATTERN, re.ASCII)


def read(text: str) -> timedelta:
    """The length of time in a text. Raises ValueError."""
    if not LENGTH.fullmatch(text):
        raise ValueError(f"{text!r} is no length of time")
    return timedelta(**{UNITS[text[-1]]: int(text[:-1])}) if text[-1] in UNITS else timedelta(seconds=int(text))


def written(length: timedelta) -> str:
    """The text of a length of time, in the largest unit of which it is a whole number. Raises ValueError."""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(length, timedelta(**{UNITS[unit]: 1}))
        if not rest and 0 < count < 10 ** DIGITS[unit]:
            return f"{count}{unit}"
    raise ValueError(f"{length} is not a whole number of seconds above 0 that lasts less than a century")
