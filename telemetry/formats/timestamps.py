"""Times: RFC 3339 as microseconds since 1970, and which times are believed.

An offset may lack its colon, as `date +%z` writes it, or its minutes, as Postgres does.
Nothing is guessed: a time without a zone is not read here. Another reading of a time is a change of meaning: raise the
versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from telemetry.formats.base import Pass
from telemetry.formats.records import BLANKS
from telemetry.readings.rows import REASON_CODE, Codes, Flags

RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)", re.ASCII
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=65_536)
def parse_us(text: str) -> int | None:
    """Microseconds since 1970 of an RFC 3339 time, None for any other text. Digits after the sixth are cut off."""
    match = RFC3339.fullmatch(text.strip(BLANKS))
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _zulu, sign, off_hours, off_minutes = match.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    offset = timedelta(0)
    if sign:
        if int(off_hours) > 23 or int(off_minutes or 0) > 59:  # noqa: PLR2004 - RFC 3339's bounds of an offset
            return None
        offset = timedelta(hours=int(off_hours), minutes=int(off_minutes or 0))
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micros, UTC)
    except ValueError:
        return None
    since = (local - EPOCH) // MICROSECOND
    shift = offset // MICROSECOND
    return since + shift if sign == "-" else since - shift


def judge(texts: Sequence[str], how: Pass) -> tuple[Flags, Codes]:
    """What is wrong with each of some times (a code of REASONS, 0 for nothing), and its microseconds, shifted as `how` says."""
    parsed = [parse_us(text) for text in texts]
    instants = np.array([0 if us is None else us + how.shift_us for us in parsed], np.int64)
    flags = believed(instants, how)
    flags[np.array([us is None for us in parsed], np.bool_)] = REASON_CODE["bad_timestamp"]
    return flags, instants


def believed(instants: Codes, how: Pass) -> Flags:
    """Which of some instants lie outside of the times that are believed: a code of REASONS, 0 for those inside."""
    flags = np.zeros(len(instants), np.uint8)
    flags[instants > how.now_us + how.limits.future_us] = REASON_CODE["too_new"]
    flags[instants < how.limits.floor_us] = REASON_CODE["too_old"]
    return flags
