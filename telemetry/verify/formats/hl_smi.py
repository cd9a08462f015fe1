"""Reads what `hl-smi -Q` writes: as nvidia-smi's, but for its fields and its times, which stand there as `date` writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from telemetry.readings.hl_smi import VOCABULARY, is_of_hl_smi
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.nvidia_smi import SmiReader
from telemetry.verify.formats.timestamps import microseconds
from telemetry.verify.formats.wall_clock import instant

_DATE = re.compile(r"[A-Z][a-z][a-z] ([A-Z][a-z][a-z])  ?([0-9]{1,2}) ([0-9:]{8}) ([A-Z0-9+-]{1,6}) ([0-9]{4})")
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}


class HlSmiReader(SmiReader):
    """What hl-smi writes."""

    name: ClassVar = "hl-smi"
    version: ClassVar = 2
    fields: ClassVar = VOCABULARY
    has_zone: ClassVar = True

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header with a field that only this tool has."""
        return super().of_header(names, rules) if is_of_hl_smi(list(names)) else None

    def moment(self, stamp: str, zone: ZoneInfo | None) -> int | str | None:
        """In UTC, or the one instant near it at which the clock of the zone shows this under this name."""
        match = _DATE.fullmatch(stamp)
        if match is None or match[1] not in _MONTHS:
            return instant(stamp, zone) if zone else microseconds(stamp.encode())
        month, day, clock, name, year = match.groups()
        try:
            wall = datetime.fromisoformat(f"{year}-{_MONTHS[month]:02}-{int(day):02} {clock}").replace(tzinfo=UTC)
        except ValueError:
            return None
        near = [wall] if name in ("UTC", "GMT") else [wall + timedelta(minutes=15 * n) for n in range(-60, 61)] if zone else []
        shown = [each for each in near if name in ("UTC", "GMT") or _as_shown(each, zone) == (wall.replace(tzinfo=None), name)]
        return (shown[0] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) if len(shown) == 1 else None


def _as_shown(moment: datetime, zone: ZoneInfo | None) -> tuple[datetime, str | None]:
    there = moment.astimezone(zone)
    return there.replace(tzinfo=None), there.tzname()
