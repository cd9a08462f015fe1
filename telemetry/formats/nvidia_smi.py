"""The CSV of `nvidia-smi --query-gpu=… --format=csv`, with units or not: a reading for each field that is a number.

docs/CSV_FORMATS.md is the specification. Here stand the header, a block as readings, and how a cell is a number; which field is
which metric is `telemetry.readings.nvidia_smi`. The file does not say its time zone, and may not say its GPU: the settings of
the source do.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.base import Format, Pass
from telemetry.formats.combinations import Combinations
from telemetry.formats.dcgm_series import MAX_NAME_BYTES, named
from telemetry.formats.local_times import judge_local
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.rows import Rows
from telemetry.formats.series_bound import SeriesBound
from telemetry.formats.values import NUMBER
from telemetry.readings.arrays import Float64s
from telemetry.readings.nvidia_smi import HEADER, SAME, canonical, metric
from telemetry.readings.rows import BLANK, REASON_CODE, Codes, Flags
from telemetry.readings.series import DRIVER_VERSION, SeriesKey
from telemetry.readings.source_settings import SourceSettings

TIME = "timestamp"
GPU = ("uuid", "index", "pci.bus_id", "name", "driver_version")
BAD_VALUE = REASON_CODE["bad_value"]
# In brackets the tool says why there is no value: [N/A], [Not Supported], [Unknown Error], [GPU requires reset].
NO_VALUE = re.compile(r"\[.*\]|n/a|", re.IGNORECASE)
MASK = re.compile(r"0x[0-9a-f]{1,16}", re.IGNORECASE)
STATE = re.compile(r"P(\d{1,2})", re.ASCII)
WORDS = {"enabled": 1.0, "active": 1.0, "yes": 1.0, "disabled": 0.0, "not active": 0.0, "no": 0.0}
INDEX = re.compile(r"\d{1,9}", re.ASCII)


class Column(NamedTuple):
    """A column that is read: its place in the record, its metric, the unit in its header, whether its cells must be numbers."""

    place: int
    metric: str
    unit: str
    is_known: bool


@dataclass(slots=True)
class NvidiaSmi(Format):
    """The format under one header. Keeps the GPUs it has seen, so that each is worked out once."""

    name: ClassVar = "nvidia-smi"
    version: ClassVar = 1
    known_by: ClassVar = "timestamp and fields of nvidia-smi --query-gpu with their units, such as power.draw [W]"
    needs: ClassVar = "time_zone; host and gpu_index where the file does not name the GPU; header if it has none"

    columns: list[str]
    settings: SourceSettings
    time: int
    of_gpu: dict[str, int]
    values: list[Column]
    gpus: Combinations[tuple[list[str], int]]
    bound: SeriesBound = field(default_factory=SeriesBound)

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

        def meaning(cells: tuple[str, ...]) -> tuple[list[str], int]:
            # Where nothing in the file names the GPU there is one empty cell.
            key, reason = _gpu(dict(zip(of_gpu, cells, strict=False)), settings)
            return [replace(key, metric=column.metric).text() if key else "" for column in columns], REASON_CODE[reason]

        return cls(names, settings, places[TIME], of_gpu, columns, Combinations(meaning))

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What the settings of the source must say beside such a header."""
        if not _is_like_it(names, settings):
            return ""
        return f"it is of {cls.name}, and {_lacks(names, settings)}; say so in the file that TELEMETRY_SOURCE_SETTINGS names"

    @property
    def readings_a_record(self) -> int:
        """One for each column that is a measurement."""
        return len(self.values)

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning."""
        width, count = len(self.values), len(taken.starts)
        texts, codes, faults = self._series(taken, how.limits.series)
        time = taken.columns[self.time].dictionary_encode()
        flags, instants = judge_local(time.dictionary.to_pylist(), self.settings.time_zone, how)
        late, ts_us = flags[time.indices.to_numpy()], instants[time.indices.to_numpy()]
        parts = [_numbers(taken.columns[column.place], column) for column in self.values]
        numbers, reasons = (np.stack(each, axis=1) for each in zip(*parts, strict=True))
        whole = np.where(late > 0, late, faults)
        reasons[whole > 0] = whole[whole > 0][:, None]
        series = codes[:, None] * width + np.arange(width)
        unmade = np.array([not text for text in texts], np.bool_)[series] & (reasons == 0)
        reasons[unmade] = REASON_CODE["too_many_series"]
        record_of, ts_us = (np.repeat(each, width) for each in (np.arange(count), ts_us))
        places = (taken.starts, taken.ends, taken.lines, taken.malformed)
        return Rows(block, texts, series.ravel(), reasons.ravel(), ts_us, numbers.ravel(), *places, record_of)

    def _series(self, taken: Records, limit: int) -> tuple[list[str], Codes, Flags]:
        """The texts of the series of the distinct GPUs, each record's index among these, and why a record names none."""
        columns = [taken.columns[place] for place in self.of_gpu.values()]
        meanings, codes = self.gpus.of(columns or [pa.array([""] * len(taken.starts))])
        texts = [text for of_gpu, _ in meanings for text, _ in self.bound.judged([(text, 0) for text in of_gpu], limit)]
        return texts, codes, np.array([reason for _, reason in meanings], np.uint8)[codes]


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
