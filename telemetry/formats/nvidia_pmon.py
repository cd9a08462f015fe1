"""What `nvidia-smi pmon` writes: what each process has of a GPU, a reading for each column that is a number.

docs/CSV_FORMATS.md is the specification. Header, times and GPU are those of dmon. A process is the labels `pid`, `type` and
`process`, its name being all that stands behind the other columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from telemetry.formats.dcgm_series import named
from telemetry.formats.nvidia_dmon import GPU, NvidiaDmon, lacks, measured, names_in
from telemetry.formats.records import Records
from telemetry.formats.wide import BAD_COLUMNS, by_index
from telemetry.readings.dmon import NAME, PROCESS_KNOWN, PROCESS_UNITS, process_column
from telemetry.readings.rows import Flags
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import SourceSettings

PID, COMMAND = "pid", "command"
LABELS = {PID: "pid", "type": "type", COMMAND: "process"}


@dataclass(slots=True)
class NvidiaPmon(NvidiaDmon):
    """The format under one header."""

    name: ClassVar = "nvidia-smi-pmon"
    version: ClassVar = 1
    known_by: ClassVar = "gpu, pid and columns of nvidia-smi pmon behind a #"

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a time, a GPU, a process and a measurement, if the settings say the rest."""
        fields = names_in(names)
        if not _is_like_it(fields) or lacks(fields, settings):
            return None
        columns = measured(fields, PROCESS_UNITS, PROCESS_KNOWN, process_column)
        labels, bare = [name for name in LABELS if name in fields], by_index(settings)

        def gpu(cells: tuple[str, ...]) -> tuple[SeriesKey | None, str]:
            key, reason = bare(cells)
            said = {LABELS[name]: cell for name, cell in zip(labels, cells[1:], strict=True) if named(cell)}
            return (replace(key, labels=key.labels | said) if key else None), reason

        return cls(names, settings, columns, [fields.index(name) for name in (GPU, *labels)], gpu, fields)

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What such a header lacks, or the settings beside it."""
        fields = names_in(names)
        return f"it is of nvidia-smi pmon, and {lacks(fields, settings, 'pmon')}" if _is_like_it(fields) else ""

    def unit(self, name: str) -> str:
        """As that of dmon."""
        return PROCESS_UNITS.get(name) or process_column(name).unit

    def cells(self, taken: Records) -> tuple[list[pa.Array], Flags]:
        """The words of each line; those behind the other columns are the name of the process, which may be missing."""
        if len(self.columns) > 1 or COMMAND not in self.names:
            return NvidiaDmon.cells(self, taken)
        before = len(self.names) - 1
        rows = [line.replace("\t", " ").split(" ") for line in taken.columns[0].to_pylist()]
        rows = [[word for word in row if word] for row in rows]
        odd = np.array([BAD_COLUMNS if len(row) < before else 0 for row in rows], np.uint8)
        whole = [[*row[:before], " ".join(row[before:])] if len(row) >= before else [""] * (before + 1) for row in rows]
        return [pa.array([row[n] for row in whole], pa.string()) for n in range(before + 1)], odd


def _is_like_it(names: list[str]) -> bool:
    is_named = all(NAME.fullmatch(name) for name in names) and len(set(names)) == len(names)
    return is_named and {GPU, PID} <= set(names) and COMMAND not in names[:-1] and bool(PROCESS_KNOWN.keys() & set(names))
