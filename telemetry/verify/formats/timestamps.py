"""RFC 3339 times to microseconds since 1970, in whole numbers. Which times are believed is left to `base`.

An offset may also stand as +hhmm or +hh.
"""

from __future__ import annotations

import re
from datetime import date

_EPOCH = date(1970, 1, 1).toordinal()
_TIME = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?"
    rb"(?:[Zz]|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)"
)


def microseconds(stamp: bytes) -> int | None:
    """The instant, digits after the sixth of the fraction cut off; None unless it is a time with a zone."""
    match = _TIME.fullmatch(stamp)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, zone_hour, zone_minute = match.groups()[6:]
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    if sign:
        ahead = int(zone_hour) * 3600 + int(zone_minute or 0) * 60
        seconds += ahead if sign == b"-" else -ahead
    return seconds * 1_000_000 + (int(fraction[:6].ljust(6, b"0")) if fraction else 0)
