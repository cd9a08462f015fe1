"""A time by the clock on the wall of a zone to microseconds since 1970, where it came once and no more."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from telemetry.verify.formats.timestamps import microseconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WALL = re.compile(r"(\d{4})[/-](\d\d)[/-](\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?", re.ASCII)


def instant(stamp: str, zone: ZoneInfo) -> int | str | None:
    """The instant; `ambiguous_time` of one that came twice, None of what is no time. A zone in the text goes before."""
    match = _WALL.fullmatch(stamp)
    if match is None:
        return microseconds(stamp.encode())
    year, month, day, clock, fraction = match.groups()
    try:
        wall = datetime.fromisoformat(f"{year}-{month}-{day} {clock}")
    except ValueError:
        return None
    # Every instant within a day of it that the clock in this zone shows as this.
    near = wall.replace(tzinfo=UTC)
    offsets = {(near + timedelta(hours=h)).astimezone(zone).utcoffset() or timedelta(0) for h in range(-30, 31)}
    moments = {near - offset for offset in offsets}
    shown = [each for each in moments if each.astimezone(zone).replace(tzinfo=None) == wall]
    if len(shown) != 1:
        return "ambiguous_time" if shown else None
    return (shown[0] - _EPOCH) // timedelta(microseconds=1) + (int(fraction[:6].ljust(6, "0")) if fraction else 0)
