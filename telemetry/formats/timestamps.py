"""RFC 3339 times, as microseconds since 1970. Nothing is guessed: a time without a zone is no time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - beside the other timezones of this module
MICROSECOND = timedelta(microseconds=1)


def parse_us(text: str) -> int | None:
    """Microseconds since 1970 of an RFC 3339 time, None if it is none. Digits after the sixth are cut off."""
    match = RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _zulu, sign, off_hours, off_minutes = match.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    offset = timedelta(0)
    if sign:
        if int(off_hours) > 23 or int(off_minutes) > 59:  # noqa: PLR2004 - RFC 3339's bounds of an offset
            return None
        offset = timedelta(hours=int(off_hours), minutes=int(off_minutes))
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micros, timezone.utc)  # noqa: UP017
    except ValueError:
        return None
    since = (local - EPOCH) // MICROSECOND
    shift = offset // MICROSECOND
    return since + shift if sign == "-" else since - shift
