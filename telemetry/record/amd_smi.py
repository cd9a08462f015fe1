"""Reads the GPUs of this machine from `amd-smi monitor` in its loop, under DCGM's names and units where they are the same.

What the columns mean is `telemetry.readings.other_vendors`', as for a file that the tool wrote. A header stands before each
round. The tool names a GPU by its index, and it writes whole seconds.
"""

from __future__ import annotations

import csv
import math
import threading

from telemetry.readings.cells import BLANKS, listed, number
from telemetry.readings.other_vendors import OF_AMD_SMI, Meaning, amd_smi, own
from telemetry.record.looping import Looping, near
from telemetry.record.taken import Gpu, SourceError, Taken

TIME, GPU, PARTITION, ENGINE = "timestamp", "gpu", "xcp", "engine"


class AmdSmi(Looping):
    """`amd-smi` of this machine."""

    names: list[str]
    meanings: dict[str, Meaning]

    def __init__(self, tool: str, host: str, interval_s: float, stopping: threading.Event, **bounds: float) -> None:
        if interval_s < 1 or interval_s % 1:
            raise SourceError(f"amd-smi has whole seconds between its turns, not {interval_s:g}: give another --interval")
        super().__init__(tool, host, interval_s, stopping, **bounds)

    def begin(self) -> list[str]:
        """All of its table, at the interval, which is whole seconds."""
        self.names, self.meanings = [], {}
        return [self.tool, "monitor", "--csv", "--watch", str(round(self.interval_s))]

    def read(self, line: str) -> list[Taken] | None:
        """The readings of a GPU at one time."""
        cells = [cell.strip(BLANKS) for cell in next(csv.reader([line]), [])]
        if TIME in cells and GPU in cells and OF_AMD_SMI & set(cells):
            return self._header(cells)
        if len(cells) != len(self.names) or not cells:
            return None
        cell = dict(zip(self.names, cells, strict=True))
        if not cell[GPU].isdigit():
            return None
        try:
            at_s = near(number(cell[TIME]), "amd-smi")
        except ValueError:
            return None
        labels = {PARTITION: cell[PARTITION]} if cell.get(PARTITION) else {}
        gpu = Gpu("", cell[GPU], "", "", self.host, labels)
        readings = [
            Taken(meaning.metric, of_engine, value / meaning.per, at_s)
            for name, meaning in self.meanings.items()
            for of_engine, value in _values(gpu, cell[name])
            if math.isfinite(value)
        ]
        self.say(cell[GPU], "" if readings else "it has no value")
        return readings

    def _header(self, names: list[str]) -> list[Taken]:
        known = amd_smi(names)
        self.names = names
        self.meanings = {name: known.get(name) or own("AMD_SMI_", name) for name in names if name not in (TIME, GPU, PARTITION)}
        return []


def _values(gpu: Gpu, cell: str) -> list[tuple[Gpu, float]]:
    """The value of a cell; of a list one an engine, counted from 0."""
    if values := listed(cell):
        return [(gpu.under(**{ENGINE: str(at)}), _value(value)) for at, value in enumerate(values)]
    return [(gpu, _value(cell))]


def _value(cell: str) -> float:
    try:
        return number(cell)
    except ValueError:
        # A word, such as ENABLED.
        return math.nan
