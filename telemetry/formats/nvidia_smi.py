"""The CSV of `nvidia-smi --query-gpu=… --format=csv`, with units or not: a reading for each field that is a number.

docs/CSV_FORMATS.md is the specification. Here stand the header, a block as readings, and how a cell is a number; which field is
which metric is `telemetry.readings.nvidia_smi`. The file does not say its time zone, and may not say its GPU: the settings of
the source do.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.base import SAY_SO, Pass
from telemetry.formats.dcgm_series import MAX_NAME_BYTES, named
from telemetry.formats.local_times import each_local
from telemetry.formats.records import BLANKS
from telemetry.formats.values import NUMBER
from telemetry.formats.wide import BAD_VALUE, INDEX, Column, Gpu, Wide
from telemetry.readings.arrays import Float64s
from telemetry.readings.nvidia_smi import HEADER, SAME, canonical, metric
from telemetry.readings.rows import BLANK, Codes, Flags
from telemetry.readings.series import DRIVER_VERSION, SeriesKey
from telemetry.readings.source_settings import SourceSettings

TIME = "timestamp"
GPU = ("uuid", "index", "pci.bus_id", "name", "driver_version")
# In brackets the tool says why there is no value: [N/A], [Not Supported], [Unknown Error], [GPU requires reset].
NO_VALUE = re.compile(r"\[.*\]|n/a|", re.IGNORECASE)
MASK = re.compile(r"0x[0-9a-f]{1,16}", re.IGNORECASE)
STATE = re.compile(r"P(\d{1,2})", re.ASCII)
WORDS = {"enabled": 1.0, "active": 1.0, "yes": 1.0, "disabled": 0.0, "not active": 0.0, "no": 0.0}


@dataclass(slots=True)
class NvidiaSmi(Wide):
    """The format under one header."""

    name: ClassVar = "nvidia-smi"
    version: ClassVar = 1

    time: int

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a time and a measurement, if the settings say what the file does not."""
        if not _is_like_it(names, settings) or _lacks(names, settings):
            return None
        places = _places(names)
        columns = [
            Column(place, known, _unit(names[place]), name in SAME)
            for name, place in places.items()
            if (known := metric(name)) is not None
        ]
        of_gpu = {name: places[name] for name in GPU if name in places}
        # Where nothing in the file names the GPU there is one empty cell.
        gpu: Gpu = lambda cells: _gpu(dict(zip(of_gpu, cells, strict=False)), settings)  # noqa: E731
        return cls(names, settings, columns, list(of_gpu.values()), gpu, places[TIME])

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What the settings of the source must say beside such a header."""
        if not _is_like_it(names, settings):
            return ""
        return f"it is of {cls.name}, and {_lacks(names, settings)}{SAY_SO}"

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """By the clock of the zone that the settings name."""
        return each_local(cells[self.time], self.settings.time_zone, how)

    def numbers(self, cells: pa.Array, column: Column) -> tuple[Float64s, Flags]:
        """The numbers of a column, and what is wrong with each."""
        return _numbers(cells, column)


def _places(names: list[str]) -> dict[str, int]:
    """Where each field stands, by its canonical name; a field that was asked for twice, where it stands first."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        match = HEADER.fullmatch(name)
        places.setdefault(canonical(match[1]) if match else "", place)
    return places


def _unit(name: str) -> str:
    match = HEADER.fullmatch(name)
    return (match and match[2]) or ""


def _is_like_it(names: list[str], settings: SourceSettings) -> bool:
    """Whether these are names of fields as the tool prints them, or as the operator says that they were asked for."""
    if not all(HEADER.fullmatch(name) for name in names):
        return False
    places = _places(names)
    known = [(name, _unit(names[place])) for name, place in places.items() if name in SAME]
    is_asked_for = settings.header and names == [each.strip(BLANKS) for each in settings.header.split(",")]
    return (
        TIME in places and bool(known) and all(unit == SAME[name].unit or (is_asked_for and not unit) for name, unit in known)
    )


def _lacks(names: list[str], settings: SourceSettings) -> str:
    """What neither such a header says nor the settings do; empty if that is nothing."""
    places = _places(names)
    lacks = [] if settings.time_zone else ["its times carry no zone: time_zone"]
    if "uuid" not in places:
        if not settings.host:
            lacks.append("it does not name its host: host")
        if not {"index", "pci.bus_id"} & places.keys() and settings.gpu_index is None:
            lacks.append("it does not name its GPU: gpu_index")
    return ", ".join(lacks)


def _gpu(cells: dict[str, str], settings: SourceSettings) -> tuple[SeriesKey | None, str]:
    """The GPU that a record's cells name, as a series without a metric; or None and the reason why they name none."""
    uuid, index, bus = named(cells.get("uuid")), cells.get("index", ""), named(cells.get("pci.bus_id"))
    number = int(index) if INDEX.fullmatch(index) else None if "index" in cells else settings.gpu_index
    if not uuid and bus and number is None and settings.host:
        uuid = f"{settings.host}:{bus}"
    if not uuid and (not settings.host or number is None):
        return None, "no_gpu"
    if any(len(name.encode()) > MAX_NAME_BYTES for name in (uuid, settings.host)):
        return None, "long_name"
    driver = named(cells.get("driver_version"))
    labels = dict(settings.labels) | ({DRIVER_VERSION: driver} if driver else {})
    return SeriesKey("", uuid, settings.host, number, "", named(cells.get("name")), labels), ""


def _numbers(cells: pa.Array, column: Column) -> tuple[Float64s, Flags]:
    """The numbers of a column, and what is wrong with each."""
    encoded = cells.dictionary_encode()
    texts, indices = pc.utf8_trim(encoded.dictionary, BLANKS), encoded.indices.to_numpy()
    try:
        bare = pc.replace_substring_regex(texts, f" {re.escape(column.unit)}$", "") if column.unit else texts
        values = pc.cast(bare, pa.float64()).to_numpy()
        if np.isfinite(values).all():
            return values[indices], np.zeros(len(indices), np.uint8)
    except pa.ArrowInvalid:
        pass
    read = [_number(text, column) for text in texts.to_pylist()]
    return np.array([value for value, _ in read])[indices], np.array([reason for _, reason in read], np.uint8)[indices]


def _number(text: str, column: Column) -> tuple[float, int]:
    """The number in a cell and 0; or a code of REASONS. The unit behind it is the one in the header, or none is."""
    if NO_VALUE.fullmatch(text):
        return math.nan, BLANK
    bare = text.removesuffix(f" {column.unit}") if column.unit else text
    if NUMBER.fullmatch(bare) and math.isfinite(float(bare)):
        return float(bare), 0
    if MASK.fullmatch(text):
        return float(int(text, 16)), 0
    if state := STATE.fullmatch(text):
        return float(state[1]), 0
    if text.lower() in WORDS:
        return WORDS[text.lower()], 0
    return math.nan, BAD_VALUE if column.is_known else BLANK
