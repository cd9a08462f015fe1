"""The times of a wide file in the form that its mapping names, to microseconds since 1970, in whole numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from telemetry.readings.mapping import ColumnMapping
from telemetry.verify.formats.base import Rules, remember
from telemetry.verify.formats.timestamps import microseconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = {"s": Fraction(10**6), "ms": Fraction(1000), "us": Fraction(1), "ns": Fraction(1, 1000)}
_LONGEST = {"s": 11, "ms": 14, "us": 17, "ns": 20}
_LOCAL = re.compile(r"([0-9]{4})[/-]([0-9]{2})[/-]([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-5][0-9])(?:\.([0-9]{1,9}))?")
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_LETTERS = {
    **dict.fromkeys("mdHIMS", r"[0-9]{1,2}"),
    "Y": r"[0-9]{4}",
    "y": r"[0-9]{2}",
    "f": r"[0-9]{1,9}",
    "b": r"[a-z]{3}",
    "p": r"[ap]m",
    "z": r"z|[+-][0-9]{2}(?::?[0-9]{2})?",
}


class Clock:
    """Reads the times of a file; each distinct cell once."""

    def __init__(self, mapping: ColumnMapping, rules: Rules) -> None:
        self._form, self._since, self._decimal = mapping.form, mapping.since_us or 0, mapping.decimal
        self._rules = rules
        self._zone = ZoneInfo(rules.source.time_zone or "UTC")
        self._letters, self._pattern = _pattern(mapping.form) if "%" in mapping.form else ("", re.compile(""))
        self._known: dict[str, int | str] = {}

    def judged(self, cell: str) -> int | str:
        """The time in a cell that is believed, or the reason why there is none."""
        ts = self._known.get(cell)
        if ts is None:
            moment = self._moment(cell.strip(" \t"))
            ts = remember(self._known, cell, moment if isinstance(moment, str) else self._rules.judged(moment))
        return ts

    def _moment(self, cell: str) -> int | str | None:
        kind, _, unit = self._form.partition("_")
        if self._letters:
            return self._by_pattern(cell)
        if kind == "rfc3339":
            return microseconds(cell.encode())
        if kind == "local":
            match = _LOCAL.fullmatch(cell)
            if match is None:
                return microseconds(cell.encode())
            year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
            return self._shown((year, month, day, hour, minute, second), match[7] or "", self._zone)
        number = cell.replace(self._decimal, ".")
        if not re.fullmatch(r"[0-9]+\.?[0-9]*", number) or len(number.partition(".")[0].lstrip("0")) > _LONGEST[unit]:
            return None
        return self._since + int(Fraction(number.rstrip(".")) * _US[unit])

    def _by_pattern(self, cell: str) -> int | str | None:
        match = self._pattern.fullmatch(cell)
        if match is None:
            return None
        parts = dict(zip(self._letters, match.groups(), strict=True))
        number = {letter: int(part) for letter, part in parts.items() if letter in "YymdHIMS"}
        if "b" in parts:
            place = _MONTHS.find(parts["b"].capitalize())
            number["m"] = place // 3 + 1 if place >= 0 and place % 3 == 0 else 0
        if "p" in parts:
            if number["I"] not in range(1, 13):
                return None
            number["H"] = number["I"] % 12 + 12 * (parts["p"].lower() == "pm")
        year, offset = number.get("Y", 2000 + number.get("y", 0)), parts.get("z", "")
        wall = (year, number["m"], number["d"], number["H"], number.get("M", 0), number.get("S", 0))
        if not offset:
            return self._shown(wall, parts.get("f", ""), self._zone)
        instant = self._shown(wall, parts.get("f", ""), ZoneInfo("UTC"))
        sign, digits = offset[0], offset[1:].replace(":", "").ljust(4, "0")
        if sign not in "+-" or not isinstance(instant, int):
            return instant
        hours, minutes = int(digits[:2]), int(digits[2:])
        if hours >= 24 or minutes >= 60:  # noqa: PLR2004
            return None
        ahead = (hours * 60 + minutes) * 60_000_000
        return instant - ahead if sign == "+" else instant + ahead

    def _shown(self, wall: tuple[int, int, int, int, int, int], fraction: str, zone: ZoneInfo) -> int | str | None:
        """The instant that a clock in a zone shows as this, within a day of it."""
        try:
            moment = datetime(*wall)  # noqa: DTZ001 - it is the zone's
            near = moment.replace(tzinfo=UTC)
            offsets = {(near + timedelta(hours=h)).astimezone(zone).utcoffset() or timedelta(0) for h in range(-30, 31)}
            instants = [each for each in (near - offset for offset in offsets) if _wall(each, zone) == moment]
        except (ValueError, OverflowError):
            return None
        if len(instants) != 1:
            return "ambiguous_time" if instants else None
        return (instants[0] - _EPOCH) // timedelta(microseconds=1) + (int(fraction[:6].ljust(6, "0")) if fraction else 0)


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def _pattern(form: str) -> tuple[str, re.Pattern[str]]:
    """The letters of a form in their order, and the pattern whose groups they are. Where two touch, both are whole."""
    pieces = re.findall(r"%.|[^%]+", form, re.DOTALL)
    letters, pattern = "", ""
    for before, piece, behind in zip(["", *pieces], pieces, [*pieces[1:], ""], strict=False):
        if piece[0] != "%":
            pattern += re.escape(piece)
        elif piece == "%%":
            pattern += "%"
        else:
            letters += piece[1]
            part = _LETTERS[piece[1]]
            pattern += f"({part.replace('{1,2}', '{2}') if before[:1] == '%' or behind[:1] == '%' else part})"
    return letters, re.compile(pattern, re.IGNORECASE | re.ASCII)
