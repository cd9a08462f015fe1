"""Times as tools write them by the clock on the wall: `2026/11/05 10:00:00.123`, and the zone that the operator names.

Or as `date` writes them, `Thu Nov  5 10:00:00 CET 2026`, where the name of the zone must be the one that the clock has then.

A time that comes twice, as at the end of summer time, says nothing sure and is not guessed; nor is one that never was. A time
with a zone of its own is read by that. Another reading of a time is a change of meaning: raise the versions as
`telemetry.formats.base` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.base import Pass
from telemetry.formats.records import BLANKS
from telemetry.formats.timestamps import EPOCH, MICROSECOND, believed, parse_us
from telemetry.readings.rows import REASON_CODE, Codes, Flags

LOCAL = re.compile(r"(\d{4}[/-]\d\d[/-]\d\d[T ]\d\d:\d\d):([0-5]\d)(?:\.(\d{1,9}))?", re.ASCII)
# The same for Arrow, of nvidia-smi: three digits of a fraction.
ALIKE = r"^[0-9]{4}[/-][0-9]{2}[/-][0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{3}$"
MINUTE = re.compile(r"(\d{4})[/-](\d\d)[/-](\d\d)[T ](\d\d):(\d\d)", re.ASCII)
DATED = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d):([0-5]\d) ([A-Z0-9+-]{1,6}) (\d{4})", re.ASCII)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
IN_UTC = ("UTC", "GMT")
AMBIGUOUS = REASON_CODE["ambiguous_time"]
BAD = REASON_CODE["bad_timestamp"]
# Given a text and a zone: microseconds and 0, or 0 and the code of a reason.
ReadUs = Callable[[str, str], tuple[int, int]]


def local_us(text: str, zone: str) -> tuple[int, int]:
    """Microseconds since 1970 of a time, and 0; or 0 and the code of the reason why it is none."""
    match = LOCAL.fullmatch(text.strip(BLANKS))
    if match is None:
        known = parse_us(text)
        return (0, BAD) if known is None else (known, 0)
    minute, second, fraction = match.groups()
    since_us, reason = minute_us(minute, zone)
    if reason:
        return 0, reason
    return since_us + int(second) * 1_000_000 + int((fraction or "0").ljust(6, "0")[:6]), 0


# Of the times in a log there are many in each minute, and no zone moves its clock within one.
@lru_cache(maxsize=16_384)
def minute_us(text: str, zone: str) -> tuple[int, int]:
    """Microseconds since 1970 of a minute as MINUTE has it, and 0; or 0 and the code of the reason why it is none."""
    match = MINUTE.fullmatch(text)
    if match is None:
        return 0, BAD
    try:
        first = datetime(*map(int, match.groups()), tzinfo=ZoneInfo(zone))  # type: ignore[misc,arg-type]
        moments = {(first.replace(fold=fold).astimezone(UTC) - EPOCH) // MICROSECOND for fold in (0, 1)}
    except (ValueError, OverflowError):
        return 0, BAD
    if len(moments) == 1:
        return moments.pop(), 0
    # In the gap at the beginning of summer time no fold comes back as what was written.
    was = first.astimezone(UTC).astimezone(first.tzinfo).replace(tzinfo=None) == first.replace(tzinfo=None)
    return 0, AMBIGUOUS if was else BAD


def dated_us(text: str, zone: str) -> tuple[int, int]:
    """As `local_us`, of a time as `date` writes it."""
    match = DATED.fullmatch(text.strip(BLANKS))
    if match is None or match[1] not in MONTHS:
        return local_us(text, zone) if zone or parse_us(text) is not None else (0, BAD)
    month, day, minute, second, name, year = match.groups()
    try:
        clock = datetime(int(year), MONTHS.index(month) + 1, int(day), int(minute[:2]), int(minute[3:]), int(second))  # noqa: DTZ001
    except ValueError:
        return 0, BAD
    if name in IN_UTC:
        return (clock.replace(tzinfo=UTC) - EPOCH) // MICROSECOND, 0
    folds = [clock.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)] if zone else []
    shown = [(each, each.astimezone(ZoneInfo(zone))) for each in folds]
    shown = [(each, was) for each, was in shown if was.tzname() == name and was.replace(tzinfo=None, fold=0) == clock]
    moments = {(each - EPOCH) // MICROSECOND for each, _ in shown}
    return (moments.pop(), 0) if len(moments) == 1 else (0, BAD)


def judge_local(texts: Sequence[str], zone: str, how: Pass, read_us: ReadUs = local_us) -> tuple[Flags, Codes]:
    """As `timestamps.judge`, of times by the clock of a zone."""
    return judged([read_us(text, zone) for text in texts], how)


def judged(read: Sequence[tuple[int, int]], how: Pass) -> tuple[Flags, Codes]:
    """As `timestamps.judge`, of times that are read: microseconds, or the code of a reason."""
    reasons = np.array([reason for _, reason in read], np.uint8)
    instants = np.array([us + how.shift_us if not reason else 0 for us, reason in read], np.int64)
    flags = believed(instants, how)
    flags[reasons > 0] = reasons[reasons > 0]
    return flags, instants


def each_local(column: pa.Array, zone: str, how: Pass) -> tuple[Flags, Codes]:
    """As `judge_local`, of a column of cells, an entry a cell."""
    return _each_alike(column, zone, how) or _each(column, zone, how, local_us)


def each_dated(column: pa.Array, zone: str, how: Pass) -> tuple[Flags, Codes]:
    """As `each_local`, of times as `date` writes them."""
    return _each(column, zone, how, dated_us)


def _each_alike(column: pa.Array, zone: str, how: Pass) -> tuple[Flags, Codes] | None:
    """As `each_local`, of times that all stand there as nvidia-smi writes them, and in minutes that there are; else None."""
    cells = pc.utf8_trim(column, BLANKS)
    if not len(cells) or not pc.all(pc.match_substring_regex(cells, ALIKE)).as_py():
        return None
    minutes = pc.utf8_slice_codeunits(cells, 0, 16).dictionary_encode()
    known = [minute_us(text, zone) for text in minutes.dictionary.to_pylist()]
    if any(reason for _, reason in known):
        return None
    seconds, thousandths = (
        pc.cast(pc.utf8_slice_codeunits(cells, start, stop), pa.int64()).to_numpy() for start, stop in ((17, 19), (20, 23))
    )
    since_us = np.array([us for us, _ in known], np.int64)[minutes.indices.to_numpy()]
    instants = since_us + seconds * 1_000_000 + thousandths * 1_000 + how.shift_us
    return believed(instants, how), instants


def _each(column: pa.Array, zone: str, how: Pass, read_us: ReadUs) -> tuple[Flags, Codes]:
    encoded = column.dictionary_encode()
    flags, instants = judge_local(encoded.dictionary.to_pylist(), zone, how, read_us)
    indices = encoded.indices.to_numpy()
    return flags[indices], instants[indices]
