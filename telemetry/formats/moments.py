"""Times in the form that a mapping names: since 1970, since a beginning, or by a pattern of strptime's letters.

Nothing is guessed: a cell in any other form is no time. Another reading of a time is a change of meaning: raise the versions as
`telemetry.formats.base` says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from telemetry.formats.base import Pass
from telemetry.formats.local_times import BAD, judge_local, judged, minute_us
from telemetry.formats.records import BLANKS
from telemetry.formats.timestamps import judge
from telemetry.readings.mapping import DIRECTIVE, ELAPSED, EPOCH, LOCAL, RFC3339, SCALES, ColumnMapping
from telemetry.readings.rows import Codes, Flags

# More digits than this are no second, and their microseconds would not fit into 64 bits.
MOST_DIGITS = 11
NUMBER = re.compile(r"(\d+)(?:\.(\d*))?", re.ASCII)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
PARTS = {
    "Y": r"(?P<Y>\d{4})",
    "b": rf"(?P<b>{'|'.join(MONTHS)})",
    "p": r"(?P<p>am|pm)",
    "f": r"(?P<f>\d{1,9})",
    "z": r"(?P<z>z|[+-]\d\d(?::?\d\d)?)",
    "%": "%",
}
NOON_H = 12


def judge_moments(texts: Sequence[str], mapping: ColumnMapping, zone: str, how: Pass) -> tuple[Flags, Codes]:
    """As `timestamps.judge`, of times in the form of a mapping."""
    form = mapping.form
    if form == RFC3339:
        return judge(texts, how)
    if form == LOCAL:
        return judge_local(texts, zone, how)
    stripped = [text.strip(BLANKS) for text in texts]
    if form in EPOCH + ELAPSED:
        since_us = mapping.since_us or 0
        return judged([number_us(text.replace(mapping.decimal, "."), form, since_us) for text in stripped], how)
    return judged([pattern_us(text, form, zone) for text in stripped], how)


def number_us(text: str, form: str, since_us: int) -> tuple[int, int]:
    """Microseconds since 1970 of a number of seconds or parts of one, and 0; or 0 and the code of the reason.

    What is less than a microsecond is cut off.
    """
    scale = SCALES[form.partition("_")[2]]
    match = NUMBER.fullmatch(text)
    if match is None or len(match[1].lstrip("0")) > MOST_DIGITS + scale:
        return 0, BAD
    digits = match[1] + (match[2] or "").ljust(6, "0")[: max(0, 6 - scale)]
    return since_us + int(digits) // 10 ** max(0, scale - 6), 0


def pattern_us(text: str, form: str, zone: str) -> tuple[int, int]:
    """Microseconds since 1970 of a time as a pattern has it, and 0; or 0 and the code of the reason why it is none."""
    match = _compiled(form).fullmatch(text)
    if match is None:
        return 0, BAD
    parts = match.groupdict()
    hour = int(parts.get("H") or parts["I"])
    if "I" in parts:
        if not 1 <= hour <= NOON_H:
            return 0, BAD
        hour = hour % NOON_H + (NOON_H if parts["p"].lower() == "pm" else 0)
    year = parts.get("Y") or f"20{parts['y']}"
    month = int(parts.get("m") or MONTHS.index(parts["b"].lower()) + 1)
    second, offset = int(parts.get("S") or 0), _offset_minutes(parts.get("z") or "")
    if second > 59 or offset is None:  # noqa: PLR2004 - as in a minute
        return 0, BAD
    minute = f"{year}-{month:02}-{int(parts['d']):02} {hour:02}:{int(parts.get('M') or 0):02}"
    since_us, reason = minute_us(minute, "UTC" if parts.get("z") else zone)
    fraction = int((parts.get("f") or "0").ljust(6, "0")[:6])
    return (0, reason) if reason else (since_us + (second - offset * 60) * 1_000_000 + fraction, 0)


@lru_cache(maxsize=256)
def _compiled(form: str) -> re.Pattern[str]:
    """A pattern as a regular expression with a group for each letter. Numbers that touch have two digits each."""
    pieces, end, touches = [], 0, False
    matches = list(DIRECTIVE.finditer(form))
    for match, following in zip(matches, [*matches[1:], None], strict=True):
        pieces.append(re.escape(form[end : match.start()]))
        touches = bool(match.start() == end and end) or bool(following and following.start() == match.end())
        width = "{2}" if touches or match[1] == "y" else "{1,2}"
        pieces.append(PARTS.get(match[1]) or rf"(?P<{match[1]}>\d{width})")
        end = match.end()
    return re.compile("".join([*pieces, re.escape(form[end:])]), re.ASCII | re.IGNORECASE)


def _offset_minutes(text: str) -> int | None:
    """How far a zone is ahead of UTC, 0 where there is none; None for what is no offset."""
    digits = re.sub(r"\D", "", text).ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - RFC 3339's bounds of an offset
        return None
    return (hours * 60 + minutes) * (-1 if text.startswith("-") else 1)
