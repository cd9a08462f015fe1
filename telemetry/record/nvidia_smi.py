"""Reads the GPUs of this machine from `nvidia-smi --query-gpu` in its loop, under DCGM's names and units.

Where the driver's library cannot be loaded, such as in another system's Python, this tool often can be run. It is asked for
all fields that are the same as DCGM's; those that a driver does not know are left out. What the cells mean is
`telemetry.readings.nvidia_smi`'s, as for a file that the tool wrote.
"""

from __future__ import annotations

import logging
import math
import re
from datetime import datetime
from typing import NamedTuple

from telemetry.readings.cells import smi_number
from telemetry.readings.nvidia_smi import SAME, canonical
from telemetry.readings.series import DRIVER_VERSION
from telemetry.readings.smi_fields import HEADER
from telemetry.record.looping import Looping, near
from telemetry.record.taken import Gpu, SourceError, Taken

log = logging.getLogger(__name__)

TIME, INDEX, UUID, MODEL, DRIVER = NAMES = ("timestamp", "index", "uuid", "name", "driver_version")
# Names of before driver 535: `nvidia-smi --help-query-gpu` has both.
OLDER = {"clocks_event_reasons.active": "clocks_throttle_reasons.active"}
REFUSED = re.compile(r'Field "([^"]+)" is not a valid field to query')
OF_GPU = re.compile(r"(?:GPU|MIG)-.+")


class Column(NamedTuple):
    """A field that is a metric: its place in a record, its metric, the unit of its cells."""

    place: int
    metric: str
    unit: str


class NvidiaSmi(Looping):
    """`nvidia-smi` of this machine."""

    fields: tuple[str, ...] = (*NAMES, *SAME)
    places: dict[str, int]
    columns: list[Column]

    def begin(self) -> list[str]:
        """For all fields that are not refused, at the interval."""
        self.places, self.columns = {}, []
        interval_ms = max(1, round(self.interval_s * 1000))
        return [self.tool, f"--query-gpu={','.join(self.fields)}", "--format=csv", f"--loop-ms={interval_ms}"]

    def learns(self, words: str) -> bool:
        """Whether a field was refused that can be left out, or asked for under its older name."""
        refused = REFUSED.search(words)
        if not refused or refused[1] not in self.fields or refused[1] in NAMES[:3]:
            return False
        log.info("this driver has no %s", refused[1])
        instead = [OLDER[refused[1]]] if refused[1] in OLDER else []
        self.fields = tuple(name for field in self.fields for name in (instead if field == refused[1] else [field]))
        return True

    def read(self, line: str) -> list[Taken] | None:
        """The readings of a GPU at one time."""
        cells = [cell.strip() for cell in line.split(",")]
        if cells[0] == TIME and len(cells) == len(self.fields):
            return self._header(cells)
        if len(cells) != len(self.places) or not self.places:
            return None
        cell = {name: cells[place] for name, place in self.places.items()}
        gpu = self._gpu(cell)
        if gpu is None:
            self.say(cell[INDEX], cell[UUID])
            return []
        try:
            at_s = near(datetime.fromisoformat(cell[TIME].replace("/", "-")), "nvidia-smi")
        except ValueError:
            return None
        values = [(column.metric, value_in(cells[column.place], column)) for column in self.columns]
        readings = [Taken(metric, gpu, value, at_s) for metric, value in values if math.isfinite(value)]
        self.say(cell[INDEX], "" if readings else cells[self.columns[0].place])
        return readings

    def _gpu(self, cell: dict[str, str]) -> Gpu | None:
        if not OF_GPU.fullmatch(cell[UUID]):
            return None
        driver = {DRIVER_VERSION: cell[DRIVER]} if _is_named(cell.get(DRIVER, "")) else {}
        index = cell[INDEX] if cell[INDEX].isdigit() else ""
        model = cell.get(MODEL, "")
        return Gpu(cell[UUID], index, "", model if _is_named(model) else "", self.host, driver)

    def _header(self, cells: list[str]) -> list[Taken]:
        """Note where each field stands. One in another unit than the known one is left out: its numbers mean another thing."""
        names = [HEADER.fullmatch(cell) for cell in cells]
        fields = [(canonical(name[1]), name[2] or "") if name else ("", "") for name in names]
        self.places = {name: place for place, (name, _) in enumerate(fields)}
        if not {TIME, INDEX, UUID} <= self.places.keys() or len(self.places) < len(cells):
            raise SourceError("nvidia-smi answers with other fields than it was asked for")
        known = [(place, SAME[name], unit) for place, (name, unit) in enumerate(fields) if name in SAME]
        self.columns = [Column(place, same.metric, unit) for place, same, unit in known if same.unit == unit]
        for _, same, unit in known:
            if same.unit != unit:
                log.warning("%s is left out: it has the unit %r, not %r", same.metric, unit, same.unit)
        return []


def value_in(cell: str, column: Column) -> float:
    """The number in a cell, NaN where there is none."""
    try:
        return smi_number(cell, column.unit)
    except ValueError:
        log.debug("%s is no value of %s", cell, column.metric)
        return math.nan


def _is_named(cell: str) -> bool:
    return bool(cell) and not cell.startswith("[") and cell != "N/A"
