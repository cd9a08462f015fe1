"""Reads what `nvidia-smi pmon` writes: a row to its readings, one a column, of one process on a GPU.

Owns which columns name the process, and its name, which has blanks in it or is missing. All else is as in dmon.
"""

from __future__ import annotations

from typing import ClassVar

from telemetry.readings import dmon
from telemetry.readings.dmon import DmonColumn
from telemetry.verify.formats.dcgm import is_placeholder
from telemetry.verify.formats.grammar import cells, text
from telemetry.verify.formats.nvidia_dmon import NvidiaDmonReader
from telemetry.verify.formats.wide import words


class NvidiaPmonReader(NvidiaDmonReader):
    """The format under one header."""

    name: ClassVar = "nvidia-smi-pmon"
    version: ClassVar = 1
    known: ClassVar = dmon.PROCESS_KNOWN
    naming: ClassVar = dmon.PROCESS_UNITS

    @classmethod
    def is_of_it(cls, columns: list[str]) -> bool:
        """Whether it is about processes, whose names stand last."""
        return "pid" in columns and "command" not in columns[:-1]

    def kind(self, name: str) -> DmonColumn:
        """What a column is."""
        return dmon.process_column(name)

    def row(self, raw: bytes) -> list[str] | None:
        """The words before the name, and the name; None if there are too few."""
        if not self._is_table or "command" not in self._columns:
            return super().row(raw)
        parts, before = words(text(cells(raw)[0])), len(self._columns) - 1
        return [*parts[:before], " ".join(parts[before:])] if len(parts) >= before else None

    def labels(self, row: list[str]) -> dict[str, str]:
        """The process."""
        said = dict(zip(self._columns, row, strict=True))
        process = {"pid": said["pid"], "type": said.get("type", ""), "process": said.get("command", "")}
        return {name: cell for name, cell in process.items() if cell and not is_placeholder(cell)}
