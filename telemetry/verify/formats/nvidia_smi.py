"""Reads what `nvidia-smi --query-gpu` and its like write: a row to its readings, one a field that is a number.

Owns the header and the cells. Which field is which metric is the catalogue's.
"""

from __future__ import annotations

import math
import re
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from telemetry.readings.hl_smi import is_of_hl_smi
from telemetry.readings.nvidia_smi import VOCABULARY
from telemetry.readings.smi_fields import SmiVocabulary
from telemetry.verify.formats.base import FormatReader, Reading, Rules, remember
from telemetry.verify.formats.dcgm import LONGEST_NAME, is_placeholder
from telemetry.verify.formats.grammar import FIELD, cells, grammar, text
from telemetry.verify.formats.wall_clock import instant

_NAME = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)(?: \[([^\]]+)\])?")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_FLAGS = {"enabled": 1, "active": 1, "yes": 1, "disabled": 0, "not active": 0, "no": 0}


class SmiReader(FormatReader):
    """What nvidia-smi and its like write, under one header."""

    fields: ClassVar[SmiVocabulary]
    # A field's name and its unit, as they stand in a header.
    named: ClassVar[re.Pattern[str]] = _NAME
    # Whether the tool writes the zone of its times.
    has_zone: ClassVar[bool] = False

    def __init__(self, names: tuple[str, ...], rules: Rules) -> None:
        self.pattern = re.compile(rb"((?:%b,){%d}%b)" % (FIELD, len(names) - 1, FIELD) + grammar(",").end)
        self._rules, self._zone = rules, ZoneInfo(rules.source.time_zone) if rules.source.time_zone else None
        self._first: dict[str, tuple[int, str]] = {}
        for place, name in enumerate(names):
            match = self.named.fullmatch(name)
            if match is not None:
                self._first.setdefault(self.fields.canonical(match[1]), (place, match[2] or ""))
        self._times: dict[str, int | str] = {}

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header with a time and a field that is measured, if the settings say what it does not."""
        matches = [cls.named.fullmatch(name) for name in names]
        fields = {cls.fields.canonical(match[1]): match[2] or "" for match in reversed(matches) if match}
        known = [name for name in fields if name in cls.fields.same]
        if None in matches or "timestamp" not in fields or not known or not (cls.has_zone or rules.source.time_zone):
            return None
        asked = rules.source.header and tuple(name.strip(" \t") for name in rules.source.header.split(",")) == names
        if any(fields[name] != cls.fields.same[name].unit and not (asked and not fields[name]) for name in known):
            return None
        by_place = "index" in fields or "pci.bus_id" in fields or rules.source.gpu_index is not None
        return cls(names, rules) if "uuid" in fields or (rules.source.host and by_place) else None

    def read(self, pieces: tuple[bytes, ...]) -> list[Reading]:
        """What the row says."""
        row = [text(cell) for cell in cells(pieces[0])]
        stamp = row[self._first["timestamp"][0]]
        ts = self._times.get(stamp)
        if ts is None:
            moment = self.moment(stamp, self._zone)
            ts = remember(self._times, stamp, moment if isinstance(moment, str) else self._rules.judged(moment))
        if isinstance(ts, str):
            return [Reading(ts)]
        gpu = self._gpu(row)
        if gpu in ("no_gpu", "long_name"):
            return [Reading(gpu)]
        named = self._labels(row)
        readings = []
        for field, (place, unit) in self._first.items():
            name = self.fields.metric(field)
            if name is None:
                continue
            value = value_in(row[place], unit, must=field in self.fields.same)
            key = self._rules.series(gpu, name, named)
            readings.append(Reading(value, key, ts) if isinstance(value, str) else Reading("", key, ts, value))
        return readings

    def moment(self, stamp: str, zone: ZoneInfo | None) -> int | str | None:
        """The microseconds of a time, the reason why it has none, or None for `bad_timestamp`."""
        return instant(stamp, zone) if zone else None

    def _cell(self, row: list[str], field: str) -> str:
        return row[self._first[field][0]] if field in self._first else ""

    def _named(self, row: list[str], field: str) -> str:
        cell = self._cell(row, field)
        return "" if not cell or is_placeholder(cell) else cell

    def _labels(self, row: list[str]) -> dict[str, str]:
        driver = self._named(row, "driver_version")
        return dict(self._rules.source.labels) | ({"DCGM_FI_DRIVER_VERSION": driver} if driver else {})

    def _gpu(self, row: list[str]) -> str:
        index = self._cell(row, "index")
        number = int(index) if re.fullmatch(r"[0-9]{1,9}", index) else None
        if "index" not in self._first:
            number = self._rules.source.gpu_index
        return gpu_named(self._cell(row, "uuid"), self._cell(row, "pci.bus_id"), number, self._rules)


def gpu_named(uuid: str, bus: str, index: int | None, rules: Rules) -> str:
    """The GPU by its UUID, its index or its address, on the host of the settings; or the reason why none is named."""
    host = rules.source.host
    uuid, bus = ("" if not cell or is_placeholder(cell) else cell for cell in (uuid, bus))
    if not uuid and host and bus and index is None:
        uuid = f"{host}:{bus}"
    if not uuid and (not host or index is None):
        return "no_gpu"
    if max(len(uuid.encode()), len(host.encode())) > LONGEST_NAME:
        return "long_name"
    return uuid or f"{host}:{index}"


def value_in(cell: str, unit: str, *, must: bool) -> float | str:
    """The number in a cell, or `blank` or `bad_value`."""
    if cell.lower() in ("", "n/a") or (cell[0] == "[" and cell[-1] == "]"):
        return "blank"
    bare = cell[: -len(unit) - 1] if unit and cell.endswith(f" {unit}") else cell
    if _NUMBER.fullmatch(bare) and math.isfinite(float(bare)):
        return float(bare)
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", cell):
        return float(int(cell, base=16))
    if re.fullmatch(r"P[0-9]{1,2}", cell):
        return float(cell[1:])
    flag = _FLAGS.get(cell.lower())
    return float(flag) if flag is not None else "bad_value" if must else "blank"


class NvidiaSmiReader(SmiReader):
    """What nvidia-smi writes."""

    name: ClassVar = "nvidia-smi"
    version: ClassVar = 2
    fields: ClassVar = VOCABULARY

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader, unless the header is of hl-smi."""
        return None if is_of_hl_smi(list(names)) else super().of_header(names, rules)
