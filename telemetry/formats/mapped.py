"""Wide files by a mapping: home-made CSV of which the settings of the source say what each column means.

docs/CSV_FORMATS.md is the specification. Here stands whose reading a cell is; whether a header fits is `mapped_columns`, times
are `moments`, and cells as numbers `mapped_values`. A source with a mapping is read by this format alone, or not at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats import records
from telemetry.formats.base import Pass
from telemetry.formats.dcgm_series import MAX_NAME_BYTES, named
from telemetry.formats.dcgm_values import sentinels
from telemetry.formats.mapped_columns import Columns, Value, fitted
from telemetry.formats.mapped_values import Spelling, numbers
from telemetry.formats.moments import judge_moments
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.wide import ByColumns, Column
from telemetry.readings.arrays import Float64s
from telemetry.readings.catalogue import lookup
from telemetry.readings.mapping import ColumnMapping
from telemetry.readings.rows import BLANK, REASON_CODE, Codes, Flags
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import SourceSettings
from telemetry.readings.units import SAME

# The index of a GPU as scripts write it: 0, gpu0, GPU 0, cuda:0, card0.
INDEX = re.compile(r"(?:[A-Za-z]+[ _:-]?)?(\d{1,9})", re.ASCII)


@dataclass(slots=True)
class Mapped(ByColumns):
    """The mapping of a source under one header that fits it. Of each column of values it has the spelling of its numbers."""

    name: ClassVar = "mapped"
    version: ClassVar = 2
    known_by: ClassVar = "the columns that the mapping of its source names"
    needs: ClassVar = "time, metrics, and what names the GPU; `telemetry formats suggest FILE` writes a beginning"

    mapping: ColumnMapping
    fit: Columns
    spelled: dict[int, tuple[Value, Spelling]]

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The mapping under a header that fits it; None where the source has none, or the header does not fit."""
        mapping, fit = settings.mapping, fitted(names, settings)
        if mapping is None or isinstance(fit, str):
            return None
        columns = [Column(value.place, value.metric, value.unit) for value in fit.values]
        spelled = {value.place: (value, Spelling.of(value.unit, mapping)) for value in fit.values}
        of_gpu = [*fit.gpu.values(), *fit.labels.values()]
        return cls(names, settings, columns, of_gpu, mapping, fit, spelled)

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """Why a header does not fit the mapping of its source."""
        why = fitted(names, settings) if settings.mapping else None
        if not isinstance(why, str):
            return ""
        alone = f"; {settings.delimiter!r} separates nothing in it: say delimiter" if len(names) == 1 else ""
        return f"the mapping of its source in TELEMETRY_SOURCE_SETTINGS does not fit: {why}{alone}"

    @property
    def series_column(self) -> str:
        """The column that makes a new series of nearly each record, empty if none was seen to."""
        return self.bound.column

    def used(self) -> SourceSettings:
        """All but what belongs to other formats, and a zone that no time is read by."""
        zone = self.settings.time_zone if self.mapping.needs_zone else ""
        return replace(self.settings, time_zone=zone, keep_exporter=False, date="")

    def split(self, block: bytes, *, limit: int, max_record: int, final: bool) -> Records:
        """The records at the beginning of a block, by the mapping's delimiter."""
        width, delimiter = len(self.columns), self.mapping.delimiter
        return records.split(block, columns=width, limit=limit, max_record=max_record, final=final, delimiter=delimiter)

    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """By the mapping; the cells of several columns are joined by a blank."""
        columns = [cells[place] for place in self.fit.time]
        if len(columns) > 1:
            columns = [pc.binary_join_element_wise(*(pc.utf8_trim(column, BLANKS) for column in columns), " ")]
        time = columns[0].dictionary_encode()
        flags, instants = judge_moments(time.dictionary.to_pylist(), self.mapping, self.settings.time_zone, how)
        return flags[time.indices.to_numpy()], instants[time.indices.to_numpy()]

    def numbers(self, cells: pa.Array, column: Column) -> tuple[Float64s, Flags]:
        """By the mapping. A field of DCGM may hold what says "no value" there."""
        value, spelling = self.spelled[column.place]
        values, reasons = numbers(cells, spelling, value.conversion)
        if value.conversion == SAME and value.metric.startswith("DCGM_FI_"):
            counters = np.full(len(values), lookup(value.metric).kind == "counter")
            reasons[(reasons == 0) & sentinels(values, counters)] = BLANK
        return values, reasons

    def series(self, cells: list[pa.Array], count: int, limit: int) -> tuple[list[str], Flags, Codes]:
        """Those of the GPUs and labels, and a note of the label that makes too many."""
        texts, faults, codes = ByColumns.series(self, cells, count, limit)
        # Of many GPUs there are many series, rightly.
        labels, distinct = [self.columns[place] for place in self.fit.labels.values()], self.gpus.distinct[len(self.fit.gpu) :]
        self.bound.blame(labels, distinct[: len(labels)], texts[:: len(self.values)])
        return texts, faults, codes

    def series_of(self, cells: tuple[str, ...]) -> list[tuple[str, int]]:
        """By the cells that name a GPU, and its labels. Where nothing in the file names it there is one empty cell."""
        said = dict(zip(self.fit.gpu, cells, strict=False))
        labels = {label: cell for label, cell in zip(self.fit.labels, cells[len(self.fit.gpu) :], strict=False) if cell}
        return [_series(value, said, labels, self.settings, self.mapping) for value in self.fit.values]


def _series(
    value: Value, said: dict[str, str], labels: dict[str, str], settings: SourceSettings, mapping: ColumnMapping
) -> tuple[str, int]:
    """The text of the series of a column in a record, and 0; or "" and the code of the reason why there is none."""
    said = said | dict(value.of)
    uuid, host = named(said.get("uuid")) or mapping.uuid, named(said.get("host")) or settings.host
    bus, model = named(said.get("pci")), named(said.get("model")) or mapping.model
    match = INDEX.fullmatch(said.get("index", ""))
    number = int(match[1]) if match else None if "index" in said else settings.gpu_index
    if not uuid and bus and number is None and host:
        uuid = f"{host}:{bus}"
    if not uuid and (not host or number is None):
        return "", REASON_CODE["no_gpu"]
    if any(len(name.encode()) > MAX_NAME_BYTES for name in (uuid, host)):
        return "", REASON_CODE["long_name"]
    return SeriesKey(value.metric, uuid, host, number, "", model, dict(settings.labels) | labels).text(), 0
