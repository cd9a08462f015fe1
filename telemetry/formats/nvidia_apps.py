"""The CSV of `nvidia-smi --query-compute-apps=… --format=csv`: which process holds how much memory of a GPU.

docs/CSV_FORMATS.md is the specification. A process is the labels `pid` and `process`. Its name stands there as it is, commas
included, so the fields are counted from both ends. The file does not say its time zone: the settings of the source do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from telemetry.formats import records
from telemetry.formats.base import SAY_SO, Pass
from telemetry.formats.dcgm_series import named
from telemetry.formats.local_times import each_local
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.smi import TIME, gpu_of, lacks
from telemetry.formats.smi_cells import smi_numbers
from telemetry.formats.wide import BAD_COLUMNS, Column, Wide
from telemetry.readings.arrays import Float64s
from telemetry.readings.nvidia_smi import APPS, OF_PROCESS, PROCESS_MEMORY, of_process
from telemetry.readings.rows import Codes, Flags
from telemetry.readings.series import SeriesKey
from telemetry.readings.smi_fields import HEADER
from telemetry.readings.source_settings import SourceSettings

PID, PROCESS = "pid", "process_name"
MEMORY, MIB = "used_gpu_memory", "MiB"
OF_GPU = ("uuid", "pci.bus_id", "name", PID, PROCESS)
LABELS = {PID: "pid", PROCESS: "process"}
# Separates nothing in a line: the whole of it is one field.
NO_DELIMITER = "\t"


@dataclass(slots=True)
class NvidiaApps(Wide):
    """The format under one header; `names` are its fields by their canonical names."""

    name: ClassVar = "nvidia-smi-apps"
    version: ClassVar = 1
    known_by: ClassVar = "timestamp and fields of nvidia-smi --query-compute-apps: pid and used_gpu_memory [MiB]"
    needs: ClassVar = "time_zone; host and gpu_index where the file does not name the GPU; header if it has none"

    names: list[str]

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a time, a process and its memory, if the settings say the rest."""
        fields = _names(names, settings)
        if not fields or TIME not in fields or lacks(_places(fields), settings, has_zone=False):
            return None
        columns = [Column(fields.index(MEMORY), PROCESS_MEMORY, MIB)]
        of_gpu = [name for name in OF_GPU if name in fields]

        def gpu(cells: tuple[str, ...]) -> tuple[SeriesKey | None, str]:
            said = dict(zip(of_gpu, cells, strict=True))
            key, reason = gpu_of(said, settings)
            labels = {LABELS[name]: said[name] for name in LABELS if named(said.get(name))}
            return (replace(key, labels=key.labels | labels) if key else None), reason

        return cls(names, settings, columns, [fields.index(name) for name in of_gpu], gpu, fields)

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What such a header lacks, or the settings beside it."""
        fields = _names(names, settings)
        if not fields:
            return ""
        if TIME not in fields:
            command = "nvidia-smi --query-compute-apps=timestamp,gpu_uuid,pid,process_name,used_memory --format=csv -l 5"
            return f"it is of {cls.name}, and its rows carry no time; log with one: {command}"
        return f"it is of {cls.name}, and {lacks(_places(fields), settings, has_zone=False)}{SAY_SO}"

    def split(self, block: bytes, *, limit: int, max_record: int, final: bool) -> Records:
        """A record a line."""
        return records.split(block, columns=1, limit=limit, max_record=max_record, final=final, delimiter=NO_DELIMITER)

    def cells(self, taken: Records) -> tuple[list[pa.Array], Flags]:
        """The fields of each line, of a line with too few none."""
        by_line = [self._fields(line) for line in taken.columns[0].to_pylist()]
        odd = np.array([BAD_COLUMNS if fields is None else 0 for fields in by_line], np.uint8)
        nothing = [""] * len(self.names)
        rows = [nothing if fields is None else fields for fields in by_line]
        return [pa.array([row[n] for row in rows], pa.string()) for n in range(len(self.names))], odd

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """By the clock of the zone that the settings name."""
        return each_local(cells[self.names.index(TIME)], self.settings.time_zone, how)

    def numbers(self, cells: pa.Array, column: Column) -> tuple[Float64s, Flags]:
        """The numbers of a column, and what is wrong with each."""
        return smi_numbers(cells, column)

    def _fields(self, line: str) -> list[str] | None:
        cells, count = [cell.strip(BLANKS) for cell in line.split(",")], len(self.names)
        if len(cells) > count and not cells[-1]:
            cells.pop()
        more = len(cells) - count
        at = self.names.index(PROCESS) if PROCESS in self.names else -1
        if more < 0 or (more and at < 0):
            return None
        if more:
            # The name as it stands there, blanks behind its commas included.
            name = ",".join(line.split(",")[at : at + more + 1]).strip(BLANKS)
            cells[at : at + more + 1] = [name]
        return cells


def _names(names: list[str], settings: SourceSettings) -> list[str]:
    """The fields of a header as the tool prints it, or as the operator says that they were asked for; none of another."""
    matches = [HEADER.fullmatch(name) for name in names]
    fields = [of_process(match[1]) for match in matches if match]
    units = {name: match[2] or "" for name, match in zip(fields, filter(None, matches), strict=True)}
    is_of_it = len(fields) == len(names) == len(set(fields)) and OF_PROCESS <= set(fields) <= APPS
    is_asked_for = settings.header and names == [each.strip(BLANKS) for each in settings.header.split(",")]
    return fields if is_of_it and (units[MEMORY] == MIB or (is_asked_for and not units[MEMORY])) else []


def _places(names: list[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}
