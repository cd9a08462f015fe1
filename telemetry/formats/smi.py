"""What nvidia-smi and its like share, who write the fields that they were asked for, with units or not.

The names of the fields stand in the header, each with its unit in brackets. A tool says by its vocabulary which field is which
metric, and how its time is read. Another reading of a header is a change of meaning: raise the versions as
`telemetry.formats.base` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import pyarrow as pa

from telemetry.formats import records
from telemetry.formats.base import SAY_SO, ByLines, Pass
from telemetry.formats.dcgm_series import MAX_NAME_BYTES, named
from telemetry.formats.local_times import each_local
from telemetry.formats.records import BLANKS
from telemetry.formats.rows import Rows
from telemetry.formats.smi_cells import smi_numbers
from telemetry.formats.wide import INDEX, Column, Gpu, Wide
from telemetry.readings.arrays import Float64s
from telemetry.readings.rows import Codes, Flags
from telemetry.readings.series import DRIVER_VERSION, SeriesKey
from telemetry.readings.smi_fields import SmiVocabulary
from telemetry.readings.source_settings import SourceSettings

TIME = "timestamp"
GPU = ("uuid", "index", "pci.bus_id", "name", "driver_version")


@dataclass(slots=True)
class Smi(Wide, ByLines):
    """Such a format under one header."""

    fields: ClassVar[SmiVocabulary]
    # Whether the tool writes the zone of its times.
    has_zone: ClassVar[bool] = False

    time: int

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a time and a measurement, if the settings say what the file does not."""
        fields, places = cls.fields, places_of(names, cls.fields)
        if not cls.is_like_it(names, settings) or lacks(places, settings, has_zone=cls.has_zone):
            return None
        columns = [
            Column(place, known, _unit(names[place], fields), name in fields.same)
            for name, place in places.items()
            if (known := fields.metric(name)) is not None
        ]
        of_gpu = {name: places[name] for name in GPU if name in places}
        # Where nothing in the file names the GPU there is one empty cell.
        gpu: Gpu = lambda cells: gpu_of(dict(zip(of_gpu, cells, strict=False)), settings)  # noqa: E731
        return cls(names, settings, columns, list(of_gpu.values()), gpu, places[TIME])

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What the settings of the source must say beside such a header."""
        if not cls.is_like_it(names, settings):
            return ""
        return f"it is of {cls.name}, and {lacks(places_of(names, cls.fields), settings, has_zone=cls.has_zone)}{SAY_SO}"

    @classmethod
    def is_like_it(cls, names: list[str], settings: SourceSettings) -> bool:
        """Whether a header is of this tool, whatever the settings lack."""
        return _is_like_it(names, settings, cls.fields)

    def read_lines(self, block: bytes, max_record: int, how: Pass) -> Rows:
        """The records at the beginning of a block that are lines; many of them at once cost less than each batch alone."""
        taken = records.lines(block, columns=len(self.columns), max_record=max_record)
        return self.read(taken, block[: taken.end], how)

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """By the clock of the zone that the settings name."""
        return each_local(cells[self.time], self.settings.time_zone, how)

    def numbers(self, cells: pa.Array, column: Column) -> tuple[Float64s, Flags]:
        """The numbers of a column, and what is wrong with each."""
        return smi_numbers(cells, column)


def places_of(names: list[str], fields: SmiVocabulary) -> dict[str, int]:
    """Where each field stands, by its canonical name; a field that was asked for twice, where it stands first."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        match = fields.header.fullmatch(name)
        places.setdefault(fields.canonical(match[1]) if match else "", place)
    return places


def _unit(name: str, fields: SmiVocabulary) -> str:
    match = fields.header.fullmatch(name)
    return (match and match[2]) or ""


def _is_like_it(names: list[str], settings: SourceSettings, fields: SmiVocabulary) -> bool:
    """Whether these are names of fields as the tool prints them, or as the operator says that they were asked for."""
    if not all(fields.header.fullmatch(name) for name in names):
        return False
    places = places_of(names, fields)
    known = [(name, _unit(names[place], fields)) for name, place in places.items() if name in fields.same]
    is_asked_for = settings.header and names == [each.strip(BLANKS) for each in settings.header.split(",")]
    has_units = all(unit == fields.same[name].unit or (is_asked_for and not unit) for name, unit in known)
    return TIME in places and bool(known) and has_units


def lacks(places: Mapping[str, int], settings: SourceSettings, *, has_zone: bool) -> str:
    """What neither such a header says nor the settings do; empty if that is nothing."""
    needs = [] if has_zone or settings.time_zone else ["its times carry no zone: time_zone"]
    if "uuid" not in places:
        if not settings.host:
            needs.append("it does not name its host: host")
        if not {"index", "pci.bus_id"} & places.keys() and settings.gpu_index is None:
            needs.append("it does not name its GPU: gpu_index")
    return ", ".join(needs)


def gpu_of(cells: dict[str, str], settings: SourceSettings) -> tuple[SeriesKey | None, str]:
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
