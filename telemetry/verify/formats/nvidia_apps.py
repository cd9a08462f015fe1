"""Reads what `nvidia-smi --query-compute-apps` writes: a line to the memory that a process holds.

Owns the header, and the name of a process, which may have commas in it.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from telemetry.readings.nvidia_smi import APPS, PROCESS_MEMORY, of_process
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.dcgm import is_placeholder
from telemetry.verify.formats.grammar import grammar, text
from telemetry.verify.formats.nvidia_smi import gpu_named, value_in
from telemetry.verify.formats.wall_clock import instant
from telemetry.verify.formats.wide import Measured, WideReader

_FIELD = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)(?: \[([^\]]+)\])?")


class NvidiaAppsReader(WideReader):
    """The format under one header. A line is one cell to the grammar."""

    name: ClassVar = "nvidia-smi-apps"
    version: ClassVar = 1
    delimiter = "\t"

    def __init__(self, fields: list[str], rules: Rules) -> None:
        super().__init__(1, [Measured(fields.index("used_gpu_memory"), PROCESS_MEMORY)], rules)
        one = grammar(self.delimiter)
        self.pattern = re.compile(rb"(?!\r?\n)(%b)%b" % (one.field, one.end))
        self._fields, self._zone = fields, ZoneInfo(rules.source.time_zone)
        # What stands before and behind the name of a process has no commas.
        cell = r"[^,]*"
        self._line = re.compile(",".join("(.*)" if field == "process_name" else f"({cell})" for field in fields), re.DOTALL)

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header with a time, a process and its memory in MiB, if zone and GPU are known."""
        matches = [_FIELD.fullmatch(name) for name in names]
        fields = [of_process(match[1]) for match in matches if match]
        if (
            None in matches
            or len(set(fields)) < len(fields)
            or not {"timestamp", "pid", "used_gpu_memory"} <= {*fields} <= APPS
        ):
            return None
        memory = matches[fields.index("used_gpu_memory")]
        asked = rules.source.header and tuple(name.strip(" \t") for name in rules.source.header.split(",")) == names
        is_mib = memory is not None and (memory[2] == "MiB" or (asked and not memory[2]))
        if not is_mib or not rules.source.time_zone:
            return None
        by_place = rules.source.host and ("pci.bus_id" in fields or rules.source.gpu_index is not None)
        return cls(fields, rules) if "uuid" in fields or by_place else None

    def row(self, raw: bytes) -> list[str] | None:
        """The fields of a line."""
        line = text(raw)
        if line.count(",") >= len(self._fields):
            line = re.sub(r",[ \t]*\Z", "", line)
        match = self._line.fullmatch(line)
        return [field.strip(" \t") for field in match.groups()] if match else None

    def stamp(self, row: list[str]) -> str:
        """The field of the time."""
        return row[self._fields.index("timestamp")]

    def moment(self, stamp: str) -> int | str | None:
        """By the clock of the zone that the settings name."""
        return instant(stamp, self._zone)

    def gpu(self, row: list[str]) -> str:
        """By UUID, by the index of the settings, or by address."""
        said = dict(zip(self._fields, row, strict=True))
        return gpu_named(said.get("uuid", ""), said.get("pci.bus_id", ""), self.rules.source.gpu_index, self.rules)

    def labels(self, row: list[str]) -> dict[str, str]:
        """The process."""
        said = dict(zip(self._fields, row, strict=True))
        process = {"pid": said["pid"], "process": said.get("process_name", "")}
        return {name: value for name, value in process.items() if value and not is_placeholder(value)}

    def number(self, cell: str) -> float | str:
        """The number in a cell, with its unit or without."""
        return value_in(cell, "MiB", must=True)
